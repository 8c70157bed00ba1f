import { describe, expect, test } from 'vitest'
import { countRunning, killRunning, nap, text, type WireRig } from './rig.ts'

export function killTests(rig: WireRig): void {
  describe('a time limit', () => {
    test('ends the command and its children', async () => {
      const result = await rig.wire().run({
        command: `echo begun; ${nap(7001)} & ${nap(7001)}; echo never`,
        timeout: 200,
      })
      expect(result).toMatchObject({ timedOut: true, aborted: false, code: null, signal: 'TERM' })
      expect(result.stdout.toString()).toBe('begun\n')
      expect(await countRunning(rig, nap(7001))).toBe(0)
    })

    test('ends what ignores SIGTERM', async () => {
      const result = await rig
        .wire()
        .run({ command: `trap '' TERM; ${nap(7002)} & ${nap(7002)}`, timeout: 100 })
      expect(result).toMatchObject({ timedOut: true, signal: 'KILL' })
      expect(await countRunning(rig, nap(7002))).toBe(0)
    })

    test('ends a child that ignores SIGTERM when its parent is already gone', async () => {
      const result = await rig
        .wire()
        .run({ command: `(trap '' TERM; ${nap(7003)}) & ${nap(7003)}`, timeout: 100 })
      expect(result).toMatchObject({ timedOut: true, signal: 'TERM' })
      expect(await countRunning(rig, nap(7003))).toBe(0)
    })

    test('ends a command that hides its mark', async () => {
      const result = await rig.wire().run({ command: `exec env -i /bin/${nap(7004)}`, timeout: 100 })
      expect(result).toMatchObject({ timedOut: true, signal: 'TERM' })
      expect(
        await rig
          .wire()
          .run({ command: `exec env -i bash -c "trap '' TERM; while :; do :; done"`, timeout: 100 }),
      ).toMatchObject({
        timedOut: true,
        signal: 'KILL',
      })
    })

    test('lets a command clean up', async () => {
      const result = await rig.wire().run({
        command: `trap 'echo cleaned; exit 9' TERM; ${nap(7005)} & wait`,
        timeout: 100,
      })
      expect(result).toMatchObject({ timedOut: true, code: 9 })
      expect(result.stdout.toString()).toBe('cleaned\n')
      expect(await countRunning(rig, nap(7005))).toBe(0)
    })

    test('does not touch other commands', async () => {
      const other = rig.wire().run({ command: 'sleep 1; echo fine' })
      await rig.wire().run({ command: nap(7006), timeout: 50 })
      expect((await other).stdout.toString()).toBe('fine\n')
    })

    test('of more than 24 days is none at once', async () => {
      expect(await rig.wire().run({ command: 'sleep 0.1', timeout: 2 ** 40 })).toMatchObject({
        code: 0,
        timedOut: false,
      })
    })
  })

  describe('an abort', () => {
    test('ends the command', async () => {
      const controller = new AbortController()
      const running = rig.wire().run({ command: `${nap(7010)} | ${nap(7010)}`, signal: controller.signal })
      setTimeout(() => controller.abort(), 100)
      expect(await running).toMatchObject({ aborted: true, timedOut: false, signal: 'TERM' })
      expect(await countRunning(rig, nap(7010))).toBe(0)
    })

    test('beforehand starts nothing', async () => {
      await expect(
        rig.wire().run({ command: 'touch started', signal: AbortSignal.abort() }),
      ).rejects.toMatchObject({
        code: 'interrupted',
      })
      await expect(rig.wire().files.stat(`${rig.home()}/started`)).rejects.toMatchObject({
        code: 'not_found',
      })
    })

    test('while the command is being started ends it', async () => {
      const controller = new AbortController()
      const running = rig.wire().run({ command: nap(7011), signal: controller.signal })
      controller.abort()
      expect(await running).toMatchObject({ aborted: true })
      expect(await countRunning(rig, nap(7011))).toBe(0)
    })
  })

  describe('kill', () => {
    test('signals the whole group, also after standard input has ended', async () => {
      const started = await rig.wire().exec({ command: `trap 'echo int; exit 5' INT; ${nap(7020)} & wait` })
      started.stdin.end()
      await new Promise((resolve) => setTimeout(resolve, 100))
      started.kill('INT')
      expect(await started.exit).toMatchObject({ code: 5, timedOut: false, aborted: false })
      await killRunning(rig, nap(7020))
      for (let round = 0; round < 20; round++) {
        const killed = await rig.wire().exec({ command: `${nap(7021)} & ${nap(7021)}` })
        killed.kill(round % 2 === 0 ? 'KILL' : 'TERM')
        expect(await killed.exit).toMatchObject({ code: null, signal: round % 2 === 0 ? 'KILL' : 'TERM' })
      }
      expect(await countRunning(rig, nap(7021))).toBe(0)
    })
  })

  describe('a command that forks away', () => {
    test('does not hold the call, and goes on', async () => {
      const result = await rig.wire().run({ command: `${nap(7030)} & echo started`, timeout: 30_000 })
      expect(result).toMatchObject({ code: 0, timedOut: false })
      expect(result.stdout.toString()).toBe('started\n')
      expect(await countRunning(rig, nap(7030))).toBe(1)
      await killRunning(rig, nap(7030))
    })

    test('does not hold the call by writing for ever', async () => {
      const result = await rig.wire().run({ command: '(while :; do echo x; done) & exit 6' })
      expect(result.code).toBe(6)
      await expect.poll(() => text(rig, 'grep -slz "do echo [x]" /proc/[0-9]*/cmdline | wc -l')).toBe('0\n')
    })

    test('still gives all output of its main process to a slow reader', async () => {
      const started = await rig.wire().exec({ command: `head -c 8000000 /dev/zero; ${nap(7031)} & exit 0` })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      let bytes = 0
      for await (const chunk of started.stdout) bytes += (chunk as Buffer).length
      expect(await started.exit).toMatchObject({ code: 0 })
      expect(bytes).toBe(8_000_000)
      await killRunning(rig, nap(7031))
    }, 20_000)
  })
}
