import { describe, expect, test } from 'vitest'
import { text, type WireRig } from './rig.ts'

export function environmentTests(rig: WireRig): void {
  describe('the environment', () => {
    const env = {
      PLAIN: 'plain',
      HOSTILE: `'; touch /tmp/broken #"$(id)\`id\`\n\\ \x1b end`,
      EMPTY: '',
      PATH: '/usr/bin:/bin:/mine',
      HOME: '/elsewhere',
      // Configurations of guests set these.
      FROM_GUEST: 'request',
      LANG: 'C',
      'odd-name.1': 'odd',
      IFS: 'x',
      BASH_ENV: '/dev/null',
      UID: '0',
    }

    test('arrives as it was given, whatever it holds and whatever sshd sets', async () => {
      const { stdout, stderr } = await rig.wire().run({ command: 'env -0', env })
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
      expect(await text(rig, 'env | grep -c "^VARIABLE_.*it"; echo "$VARIABLE_499"', { env: many })).toBe(
        "500\nit's 499\n",
      )
    })

    test('is not in the process list', async () => {
      const seen = await text(rig, 'tr "\\0" " " </proc/$$/cmdline; true', { env: { TOKEN: 'canary-value' } })
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
        await expect(rig.wire().run({ command: 'true', env: { [name]: value } })).rejects.toMatchObject({
          code: 'invalid_input',
        })
      await expect(
        rig.wire().run({ command: 'true', env: { A: 'x'.repeat(200_000) } }),
      ).rejects.toMatchObject({
        code: 'too_large',
      })
    })
  })
}
