import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectWire } from './connect.ts'
import { quote } from './quote.ts'
import { type RealSshd, realSshd } from './real-sshd.ts'
import type { Wire } from './wire.ts'

let server: RealSshd
let wire: Wire
beforeAll(async () => {
  // The configuration of a guest may name variables of its own; a request's come before them.
  server = await realSshd({ setEnv: { PATH: '/usr/bin:/bin', FROM_GUEST: 'guest' } })
  wire = await connectWire(server.open().stream, server)
}, 120_000)
afterAll(async () => {
  wire?.close()
  await server?.[Symbol.asyncDispose]()
})

const text = async (command: string, more: Omit<Parameters<Wire['run']>[0], 'command'> = {}) =>
  (await wire.run({ command, ...more })).stdout.toString()

describe('a command', () => {
  test('gives its exit code, its signal and both outputs', async () => {
    const result = await wire.run({ command: 'echo out; echo err >&2; exit 7' })
    expect(result).toMatchObject({ code: 7, signal: null, timedOut: false, aborted: false, droppedBytes: 0 })
    expect([result.stdout.toString(), result.stderr.toString()]).toEqual(['out\n', 'err\n'])
    expect(await wire.run({ command: 'kill -9 $$' })).toMatchObject({ code: null, signal: 'KILL' })
  })

  test('passes bytes both ways unchanged', async () => {
    const bytes = randomBytes(3_000_000)
    const result = await wire.run({ command: 'cat', input: bytes, maxOutput: 8_000_000 })
    expect(result.stdout.equals(bytes)).toBe(true)
  })

  test('is found in its working directory, and not started in one that is not there', async () => {
    expect(await text('pwd', { cwd: '/usr/share' })).toBe('/usr/share\n')
    expect((await wire.run({ command: 'touch ran', cwd: '/nowhere' })).code).toBe(126)
    await expect(wire.run({ command: 'true', cwd: 'relative' })).rejects.toMatchObject({
      code: 'invalid_input',
    })
  })

  test('may be longer than one argument of a process', async () => {
    const long = `x=${'a'.repeat(600_000)}; echo \${#x}; exit 4`
    expect(await wire.run({ command: long })).toMatchObject({ code: 4, stdout: Buffer.from('600000\n') })
    expect(await text('ls -A /tmp | grep -c forge-exec; true')).toBe('0\n')
  })

  test('has its arguments quoted', async () => {
    const hostile = ['', ' ', "it's", '$(id)', '`id`', '\n', '*', '-n', 'a=b', '~', 'é€😀', '\x1b[31m']
    expect(await text(quote(['printf', '%s\\0', ...hostile]))).toBe(hostile.map((one) => `${one}\0`).join(''))
  })

  test('does not read the account’s .bashrc', async () => {
    await wire.files.write(`${server.home}/.bashrc`, 'echo from bashrc')
    expect(await text('echo only this')).toBe('only this\n')
    await wire.files.remove(`${server.home}/.bashrc`)
  })
})

describe('the environment', () => {
  const env = {
    PLAIN: 'plain',
    HOSTILE: `'; touch /tmp/broken #"$(id)\`id\`\n\\ \x1b end`,
    EMPTY: '',
    PATH: '/usr/bin:/bin:/mine',
    HOME: '/elsewhere',
    FROM_GUEST: 'request',
    'odd-name.1': 'odd',
    IFS: 'x',
    BASH_ENV: '/dev/null',
    UID: '0',
  }

  test('arrives as it was given, whatever it holds and whatever sshd sets', async () => {
    const { stdout, stderr } = await wire.run({ command: 'env -0', env })
    const seen = new Map(
      stdout
        .toString()
        .split('\0')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
    )
    for (const [name, value] of Object.entries(env)) {
      // Bash never takes these two from its environment.
      if (name === 'IFS' || name === 'UID') continue
      expect([name, seen.get(name)]).toEqual([name, value])
    }
    expect([...seen.keys()].filter((name) => name.includes('FORGE'))).toEqual([])
    expect(stderr.toString()).toBe('')
  })

  test('may hold more variables than sshd takes', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`VARIABLE_${i}`, `it's ${i}`]))
    expect(await text('env | grep -c "^VARIABLE_.*it"; echo "$VARIABLE_499"', { env: many })).toBe(
      "500\nit's 499\n",
    )
  })

  test('is not in the process list', async () => {
    const seen = await text('ps -o args= -p $$; true', { env: { TOKEN: 'canary-value' } })
    expect(seen).toContain('export TOKEN')
    expect(seen).not.toContain('canary-value')
  })

  test('is refused where no process could have it', async () => {
    for (const [name, value] of [
      ['', 'x'],
      ['A=B', 'x'],
      ['A', 'x\0y'],
      ['A\0', 'x'],
    ] as const)
      await expect(wire.run({ command: 'true', env: { [name]: value } })).rejects.toMatchObject({
        code: 'invalid_input',
      })
    await expect(wire.run({ command: 'true', env: { A: 'x'.repeat(200_000) } })).rejects.toMatchObject({
      code: 'too_large',
    })
  })
})

describe('output', () => {
  test('keeps its first and its last half', async () => {
    const result = await wire.run({ command: 'seq 1 100000', maxOutput: 1000 })
    const shown = result.stdout.toString()
    expect(shown.length).toBe(1000)
    expect(shown.startsWith('1\n2\n3\n')).toBe(true)
    expect(shown.endsWith('99999\n100000\n')).toBe(true)
    expect(result.droppedBytes).toBe(588_895 - 1000)
  })

  test.each([0, 1, 2, 3])('may be kept to %i bytes', async (maxOutput) => {
    const result = await wire.run({ command: 'printf abcdef', maxOutput })
    expect(result.stdout.toString()).toBe(['', 'a', 'af', 'abf'][maxOutput])
    expect(result.droppedBytes).toBe(6 - maxOutput)
  })

  test('of a gigabyte does not fill the memory', async () => {
    const before = process.memoryUsage().rss
    let peak = 0
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss)
    }, 20)
    const result = await wire.run({ command: 'head -c 1000000000 /dev/zero' })
    clearInterval(watch)
    expect(result.droppedBytes).toBe(1_000_000_000 - 1024 * 1024)
    expect(peak - before).toBeLessThan(300e6)
  }, 120_000)

  test('waits for a slow reader, of either stream', async () => {
    const started = await wire.exec({
      command: 'head -c 30000000 /dev/zero >&2 & head -c 30000000 /dev/zero; wait',
    })
    let bytes = 0
    started.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(bytes).toBeLessThan(20_000_000)
    let errBytes = 0
    started.stderr.on('data', (chunk: Buffer) => {
      errBytes += chunk.length
    })
    expect(await started.exit).toMatchObject({ code: 0 })
    expect([bytes, errBytes]).toEqual([30_000_000, 30_000_000])
  }, 60_000)

  test('is there to read after the command has ended', async () => {
    const started = await wire.exec({ command: 'seq 1 5; exit 5' })
    expect(await started.exit).toMatchObject({ code: 5 })
    expect((await started.stdout.toArray()).join('')).toBe('1\n2\n3\n4\n5\n')
  })
})

describe('standard input', () => {
  test('streams', async () => {
    const started = await wire.exec({ command: 'while read -r line; do echo "got $line"; done; echo end' })
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
    const started = await wire.exec({ command: 'exit 3' })
    const written = new Promise((resolve) =>
      started.stdin.write(Buffer.alloc(20_000_000), () => resolve('let go')),
    )
    expect(await started.exit).toMatchObject({ code: 3 })
    expect(await written).toBe('let go')
    const stalled = await wire.exec({ command: 'sleep 0.3; exit 4' })
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
      wire.run({ command: `sleep 0.1; cat; exit ${i}`, input: `in ${i}` }),
    ),
  )
  expect(results.map((result) => [result.code, result.stdout.toString()])).toEqual(
    Array.from({ length: 20 }, (_, i) => [i, `in ${i}`]),
  )
})
