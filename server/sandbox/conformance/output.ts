import { describe, expect, test } from 'vitest'
import type { WireRig } from './rig.ts'

export function outputTests(rig: WireRig): void {
  describe('output', () => {
    test('keeps its first and its last half', async () => {
      const result = await rig.wire().run({ command: 'seq 1 100000', maxOutput: 1000 })
      const shown = result.stdout.toString()
      expect(shown.length).toBe(1000)
      expect(shown.startsWith('1\n2\n3\n')).toBe(true)
      expect(shown.endsWith('99999\n100000\n')).toBe(true)
      expect(result.droppedBytes).toBe(588_895 - 1000)
    })

    test.each([0, 1, 2, 3])('may be kept to %i bytes', async (maxOutput) => {
      const result = await rig.wire().run({ command: 'printf abcdef', maxOutput })
      expect(result.stdout.toString()).toBe(['', 'a', 'af', 'abf'][maxOutput])
      expect(result.droppedBytes).toBe(6 - maxOutput)
    })

    test('of a gigabyte does not fill the memory', async () => {
      const before = process.memoryUsage().rss
      let peak = 0
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss)
      }, 20)
      const result = await rig.wire().run({ command: 'head -c 1000000000 /dev/zero' })
      clearInterval(watch)
      expect(result.droppedBytes).toBe(1_000_000_000 - 1024 * 1024)
      expect(peak - before).toBeLessThan(300e6)
    }, 120_000)

    test('waits for a slow reader, of either stream', async () => {
      const started = await rig.wire().exec({
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

    test('is complete when the command ends at once', async () => {
      for (let round = 0; round < 300; round++) {
        const started = await rig.wire().exec({ command: 'printf abcdef; printf ghi >&2' })
        const seen = { out: '', err: '' }
        started.stdout.on('data', (chunk: Buffer) => {
          seen.out += chunk.toString()
        })
        started.stderr.on('data', (chunk: Buffer) => {
          seen.err += chunk.toString()
        })
        await started.exit
        expect(seen).toEqual({ out: 'abcdef', err: 'ghi' })
      }
    })

    test('is there to read after the command has ended', async () => {
      const started = await rig.wire().exec({ command: 'seq 1 5; exit 5' })
      expect(await started.exit).toMatchObject({ code: 5 })
      expect((await started.stdout.toArray()).join('')).toBe('1\n2\n3\n4\n5\n')
    })
  })
}
