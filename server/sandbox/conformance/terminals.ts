import { beforeEach, describe, expect, test } from 'vitest'
import type { TerminalRequest } from '../wire/wire.ts'
import { countRunning, nap, skipBecause, type WireRig } from './rig.ts'

export function terminalTests(rig: WireRig): void {
  describe('a terminal', () => {
    beforeEach(({ skip }) => {
      const none = rig.noTerminals()
      if (none !== null) skipBecause(none, skip)
    })

    async function open(request: Omit<TerminalRequest, 'columns' | 'rows'> = {}) {
      const terminal = await rig.wire().terminal({ columns: 97, rows: 31, ...request })
      let seen = ''
      terminal.stream.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1')
      })
      return {
        ...terminal,
        seen: () => seen,
        until: (pattern: RegExp) => expect.poll(() => seen, { timeout: 10_000 }).toMatch(pattern),
      }
    }

    test('a command has a terminal of the given size and kind, and sees it change', async () => {
      const terminal = await open({
        command: 'tty; echo $TERM; stty size; trap "stty size; exit 3" WINCH; while :; do sleep 0.05; done',
      })
      await terminal.until(/\/dev\/pts\/\d+\r\nxterm-256color\r\n31 97\r\n/)
      terminal.resize(120, 40)
      expect(await terminal.exit).toMatchObject({ code: 3, signal: null })
      expect(terminal.seen()).toMatch(/40 120\r\n$/)
    })

    test('without a command it is a login shell that echoes and obeys control keys', async () => {
      const terminal = await open({ cwd: '/usr/share', env: { MINE: 'own' } })
      terminal.stream.write('shopt login_shell; pwd; echo $MINE-$SHLVL; sleep 100\n')
      await terminal.until(/login_shell\s+on\r\n[\s\S]*\/usr\/share\r\n[\s\S]*own-1/)
      terminal.stream.write('\x03')
      terminal.stream.write('exit 11\n')
      expect(await terminal.exit).toMatchObject({ code: 11 })
    })

    test('loses no byte of a program that exits at once', async () => {
      for (let round = 0; round < 10; round++) {
        const terminal = await open({ command: 'stty -opost; head -c 65536 /dev/zero | tr "\\0" x; exit 0' })
        expect(await terminal.exit).toMatchObject({ code: 0 })
        expect(terminal.seen().length).toBe(65_536)
      }
    })

    test('closing it hangs up on its programs', async () => {
      const terminal = await open()
      terminal.stream.write(`${nap(7101)} & ${nap(7101)}\n`)
      await expect.poll(() => countRunning(rig, nap(7101))).toBe(2)
      terminal.stream.destroy()
      await expect.poll(() => countRunning(rig, nap(7101))).toBe(0)
      await terminal.exit.catch(() => undefined)
    })

    test('an abort ends it', async () => {
      const controller = new AbortController()
      const terminal = await open({ signal: controller.signal })
      terminal.stream.write('echo ready\n')
      await terminal.until(/ready/)
      controller.abort()
      expect(await terminal.exit).toMatchObject({ aborted: true })
    })
  })
}
