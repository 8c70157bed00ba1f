import { describe, expect, test } from 'vitest'
import { nap, skipBecause } from './rig.ts'
import type { World } from './world.ts'

export function deathTests(world: World): void {
  describe('the death of a sandbox', () => {
    test('is seen within two seconds, with a reason', async () => {
      const guest = await world.create()
      const { id, created } = guest
      const wire = await world.connect(guest)
      const running = wire.run({ command: 'sleep 100' })
      running.catch(() => undefined)
      await world.underTest.kill(id, created.handle)
      await expect
        .poll(() => world.provider.inspect(id, created.handle), { timeout: 2000 })
        .toMatchObject({ state: 'gone', reason: expect.stringMatching(/\S/) })
      await expect(running).rejects.toMatchObject({ code: 'sandbox_lost' })
      expect(await wire.closed).toBeTruthy()
      await expect(world.provider.open(id, created.handle)).rejects.toMatchObject({ code: 'sandbox_lost' })
      expect(await world.provider.list()).toContain(id)
      await world.provider.destroy(id)
      expect(await world.provider.list()).not.toContain(id)
    })

    test('of all that it runs is not the death of the sandbox', async () => {
      const guest = await world.create()
      const wire = await world.connect(guest)
      await wire.run({ command: 'kill -9 -1' }).catch(() => undefined)
      expect(await world.provider.inspect(guest.id, guest.created.handle)).toEqual({ state: 'running' })
      const again = await world.connect(guest)
      expect((await again.run({ command: 'echo still' })).stdout.toString()).toBe('still\n')
      await world.provider.destroy(guest.id)
    })
  })

  describe('a restart of the server', () => {
    test('finds the sandbox again', async ({ skip }) => {
      if (!world.provider.capabilities.outlivesServer)
        skipBecause(`${world.provider.name} ends with its server`, skip)
      const guest = await world.create()
      const before = await world.connect(guest)
      await before.run({ command: `echo kept >/tmp/kept; ${nap(7300)} & exit 0` })
      before.close()
      const next = await world.underTest.make()
      expect(await next.list()).toContain(guest.id)
      expect(await next.inspect(guest.id, guest.created.handle)).toEqual({ state: 'running' })
      const wire = await world.connect(guest, next)
      const { stdout } = await wire.run({ command: 'cat /tmp/kept /proc/[0-9]*/cmdline | tr "\\0" " "' })
      expect(stdout.toString()).toMatch(/^kept\n/)
      expect(stdout.toString()).toContain(nap(7300))
      await next.destroy(guest.id)
      expect(await world.provider.list()).not.toContain(guest.id)
      expect(await world.provider.inspect(guest.id, guest.created.handle)).toMatchObject({ state: 'gone' })
    })
  })
}
