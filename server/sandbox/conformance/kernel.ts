import { describe, expect, test } from 'vitest'
import { skipBecause, type WireRig } from './rig.ts'
import type { World } from './world.ts'

/** Calls that a guest has no need of and that have opened kernels before; x86-64 and arm64 numbers. */
const calls = {
  bpf: { x64: 321, arm64: 280 },
  keyctl: { x64: 250, arm64: 219 },
  add_key: { x64: 248, arm64: 217 },
  perf_event_open: { x64: 298, arm64: 241 },
  io_uring_setup: { x64: 425, arm64: 425 },
  userfaultfd: { x64: 323, arm64: 282 },
} as const

const families = { AF_VSOCK: 40, AF_PACKET: 17, AF_ALG: 38 } as const

export function kernelTests(rig: WireRig, world: World): void {
  describe('the host’s kernel shows little of itself', () => {
    const isOwn = () => world.provider.capabilities.kernel === 'own'
    const why = 'the kernel is the sandbox’s own'

    test('no new user namespace, and no mount', async ({ skip }) => {
      if (isOwn()) skipBecause(why, skip)
      for (const command of [
        'unshare --user true',
        'unshare --map-root-user true',
        'unshare --mount true',
        'unshare --net true',
        'mount -t tmpfs none /tmp',
        'mount --bind /tmp /mnt',
        'chroot / true',
      ])
        expect([command, (await rig.wire().run({ command })).code]).not.toEqual([command, 0])
    })

    test.for(Object.keys(families) as (keyof typeof families)[])(
      'no socket of %s',
      async (name, { skip }) => {
        if (isOwn()) skipBecause(why, skip)
        const command = `perl -e 'exit(socket(my $s, ${families[name]}, ${name === 'AF_ALG' ? 5 : name === 'AF_PACKET' ? 3 : 1}, 0) ? 0 : 9)'`
        expect((await rig.wire().run({ command })).code).toBe(9)
      },
    )

    test('no raw socket', async () => {
      const command = `perl -e 'exit(socket(my $s, 2, 3, 1) ? 0 : 9)'`
      expect((await rig.wire().run({ command })).code).toBe(9)
    })

    test.for(Object.keys(calls) as (keyof typeof calls)[])('no %s', async (name, { skip }) => {
      if (isOwn()) skipBecause(why, skip)
      const number = calls[name][process.arch === 'arm64' ? 'arm64' : 'x64']
      // EPERM, ENOSYS or EACCES: the call itself is refused, not its arguments.
      const command = `perl -e '$r = syscall(${number}, 0, 0, 0, 0, 0); print $r == -1 ? $!+0 : "allowed"'`
      expect(['1', '38', '13']).toContain((await rig.wire().run({ command })).stdout.toString())
    })

    test('no typing into its own terminal', async ({ skip }) => {
      const none = rig.noTerminals()
      if (none !== null) skipBecause(none, skip)
      const terminal = await rig.wire().terminal({
        command: `perl -e 'my $c = "x"; print ioctl(STDIN, 0x5412, $c) ? "typed" : "refused"'`,
        columns: 80,
        rows: 24,
      })
      let seen = ''
      terminal.stream.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
      })
      await terminal.exit
      expect(seen).toContain('refused')
    })
  })
}
