import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { quote } from '#core/sandbox/quote.ts'
import { text, type WireRig } from './rig.ts'

export function commandTests(rig: WireRig): void {
  describe('a command', () => {
    test('gives its exit code, its signal and both outputs', async () => {
      const result = await rig.wire().run({ command: 'echo out; echo err >&2; exit 7' })
      expect(result).toMatchObject({
        code: 7,
        signal: null,
        timedOut: false,
        aborted: false,
        droppedBytes: 0,
      })
      expect([result.stdout.toString(), result.stderr.toString()]).toEqual(['out\n', 'err\n'])
      expect(await rig.wire().run({ command: 'kill -9 $$' })).toMatchObject({ code: null, signal: 'KILL' })
    })

    test('passes bytes both ways unchanged', async () => {
      const bytes = randomBytes(3_000_000)
      const result = await rig.wire().run({ command: 'cat', input: bytes, maxOutput: 8_000_000 })
      expect(result.stdout.equals(bytes)).toBe(true)
    })

    test('is found in its working directory, and not started in one that is not there', async () => {
      expect(await text(rig, 'pwd', { cwd: '/usr/share' })).toBe('/usr/share\n')
      expect((await rig.wire().run({ command: 'touch ran', cwd: '/nowhere' })).code).toBe(126)
      await expect(rig.wire().run({ command: 'true', cwd: 'relative' })).rejects.toMatchObject({
        code: 'invalid_input',
      })
    })

    test('may be longer than one argument of a process', async () => {
      const long = `x=${'a'.repeat(600_000)}; echo \${#x}; exit 4`
      expect(await rig.wire().run({ command: long })).toMatchObject({
        code: 4,
        stdout: Buffer.from('600000\n'),
      })
      expect(await text(rig, 'ls -A /tmp | grep -c forge-exec; true')).toBe('0\n')
    })

    test('has its arguments quoted', async () => {
      const hostile = ['', ' ', "it's", '$(id)', '`id`', '\n', '*', '-n', 'a=b', '~', 'é€😀', '\x1b[31m']
      expect(await text(rig, quote(['printf', '%s\\0', ...hostile]))).toBe(
        hostile.map((one) => `${one}\0`).join(''),
      )
    })

    test('does not read the account’s .bashrc', async () => {
      await rig.wire().files.write(`${rig.home()}/.bashrc`, 'echo from bashrc')
      expect(await text(rig, 'echo only this')).toBe('only this\n')
      await rig.wire().files.remove(`${rig.home()}/.bashrc`)
    })
  })

  describe('standard input', () => {
    test('streams', async () => {
      const started = await rig
        .wire()
        .exec({ command: 'while read -r line; do echo "got $line"; done; echo end' })
      const lines: string[] = []
      started.stdout.on('data', (chunk: Buffer) => lines.push(chunk.toString()))
      started.stdin.write('one\n')
      while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(lines.join('')).toBe('got one\n')
      started.stdin.end('two\n')
      expect(await started.exit).toMatchObject({ code: 0 })
      expect(lines.join('')).toBe('got one\ngot two\nend\n')
    })

    test('of a command that reads none holds nobody up', async () => {
      const started = await rig.wire().exec({ command: 'exit 3' })
      const written = new Promise((resolve) =>
        started.stdin.write(Buffer.alloc(20_000_000), () => resolve('let go')),
      )
      expect(await started.exit).toMatchObject({ code: 3 })
      expect(await written).toBe('let go')
      const stalled = await rig.wire().exec({ command: 'sleep 0.3; exit 4' })
      const letGo = new Promise((resolve) =>
        stalled.stdin.write(Buffer.alloc(20_000_000), () => resolve('let go')),
      )
      expect(await stalled.exit).toMatchObject({ code: 4 })
      expect(await letGo).toBe('let go')
    })
  })

  test('twenty commands at once keep apart', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        rig.wire().run({ command: `sleep 0.1; cat; exit ${i}`, input: `in ${i}` }),
      ),
    )
    expect(results.map((result) => [result.code, result.stdout.toString()])).toEqual(
      Array.from({ length: 20 }, (_, i) => [i, `in ${i}`]),
    )
  })
}
