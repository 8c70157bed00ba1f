import { describe, expect, type TestContext, test } from 'vitest'
import type { Enforcements } from '#core/sandbox/sandbox.ts'
import { nap, skipBecause } from './rig.ts'
import type { Guest, World } from './world.ts'

/** A limit that does not hold must say why; the test of it is skipped by that name. */
function mustHold(guest: Guest, limit: keyof Enforcements, skip: TestContext['skip']): void {
  const { enforced, how } = guest.created.enforcement[limit]
  expect(how).toMatch(/\S/)
  if (!enforced) skipBecause(`${limit}: ${how}`, skip)
}

export function limitTests(world: World): void {
  describe('a limit that is said to hold does', () => {
    test('memory', async ({ skip }) => {
      const guest = await world.create({ limits: { memoryMb: 128 } })
      mustHold(guest, 'memory', skip)
      const wire = await world.connect(guest)
      // tail keeps all of a line without an end.
      const result = await wire
        .run({ command: 'head -c 600M /dev/zero | tail | wc -c', timeout: 20_000 })
        .catch(() => null)
      expect(result?.stdout.toString()).not.toBe('629145600\n')
      const after = await world.provider.inspect(guest.id, guest.created.handle)
      if (after.state === 'gone') expect(after.reason).toContain('memory')
      else expect((await (await world.connect(guest)).run({ command: 'echo fine' })).code).toBe(0)
      await world.provider.destroy(guest.id)
    })

    test('processes', async ({ skip }) => {
      const guest = await world.create({ limits: { pids: 64 } })
      mustHold(guest, 'pids', skip)
      const wire = await world.connect(guest)
      // Bash would try again for a long time.
      const fork =
        'for (1..200) { my $p = fork; last unless defined $p; $p or do { sleep 30; exit }; push @all, $p }'
      const { stdout } = await wire.run({
        command: `perl -e '${fork}; print scalar @all; kill 9, @all'`,
        timeout: 20_000,
      })
      const most = Number(stdout.toString())
      expect(most).toBeGreaterThan(0)
      expect(most).toBeLessThanOrEqual(64)
      await world.provider.destroy(guest.id)
    })

    test('processes: a command that has used them all up still ends at its time limit', async ({ skip }) => {
      const guest = await world.create({ limits: { pids: 64 } })
      mustHold(guest, 'pids', skip)
      const wire = await world.connect(guest)
      const bomb = await wire.run({
        command: `while :; do ${nap(7400)} & done 2>/dev/null`,
        timeout: 1500,
        maxOutput: 10_000,
      })
      expect(bomb.timedOut).toBe(true)
      expect((await wire.run({ command: 'echo fine' })).stdout.toString()).toBe('fine\n')
      await world.provider.destroy(guest.id)
    })

    test('disk', async ({ skip }) => {
      const guest = await world.create({ limits: { diskMb: 32 } })
      mustHold(guest, 'disk', skip)
      const wire = await world.connect(guest)
      const places = '$HOME /tmp /var/tmp /work /dev/shm'
      const { stdout } = await wire.run({
        command: `for d in ${places}; do [ -w $d ] && head -c 100M /dev/zero >$d/fill 2>/dev/null; done; cat $(for d in ${places}; do echo $d/fill; done) 2>/dev/null | wc -c`,
        timeout: 20_000,
      })
      // Memory file systems count as memory.
      expect(Number(stdout.toString())).toBeLessThan((32 + 64 + 1) * 1024 * 1024)
      await expect(wire.files.write('/tmp/more', Buffer.alloc(40_000_000))).rejects.toMatchObject({
        code: 'disk_full',
      })
      await world.provider.destroy(guest.id)
    })

    test('processors', async ({ skip }) => {
      const guest = await world.create({ limits: { cpus: 0.25 } })
      mustHold(guest, 'cpus', skip)
      const wire = await world.connect(guest)
      const { stdout } = await wire.run({
        command: 'TIMEFORMAT="%R %U %S"; { time timeout 2 bash -c "while :; do :; done"; } 2>&1',
      })
      const [elapsed, user, system] =
        stdout.toString().trim().split('\n').at(-1)?.split(' ').map(Number) ?? []
      expect(((user ?? 9) + (system ?? 9)) / (elapsed ?? 1)).toBeLessThan(0.5)
      await world.provider.destroy(guest.id)
    })
  })
}
