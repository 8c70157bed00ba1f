import { describe, expect, test } from 'vitest'
import { nap } from './rig.ts'
import { newId, type World } from './world.ts'

const lost = { code: 'sandbox_lost' }

export function lifeTests(world: World): void {
  describe('the life of a sandbox', () => {
    test('probe boots one and leaves nothing', async () => {
      const before = await world.provider.list()
      const report = await world.provider.probe(AbortSignal.timeout(30_000))
      expect(report).toMatchObject({ id: world.provider.name, works: true, fix: [] })
      expect(report.kernel).toBe(world.provider.capabilities.kernel)
      expect(report.bootMs).toBeGreaterThan(0)
      expect(new Set(await world.provider.list())).toEqual(new Set(before))
    })

    test('probe never throws, not even when it is stopped', async () => {
      expect((await world.provider.probe(AbortSignal.abort())).works).toBe(false)
    })

    test('from create to destroy', async () => {
      const guest = await world.create()
      const { id, created } = guest
      expect(JSON.parse(JSON.stringify(created.handle))).toEqual(created.handle)
      expect(await world.provider.inspect(id, created.handle)).toEqual({ state: 'running' })
      expect(await world.provider.list()).toContain(id)
      const wire = await world.connect(guest)
      expect((await wire.run({ command: 'echo hello' })).stdout.toString()).toBe('hello\n')
      await world.provider.destroy(id)
      expect(await wire.closed).toBeTruthy()
      expect(await world.provider.inspect(id, created.handle)).toMatchObject({ state: 'gone' })
      expect(await world.provider.list()).not.toContain(id)
      await expect(world.provider.open(id, created.handle)).rejects.toMatchObject(lost)
      await world.provider.destroy(id)
    })

    test('destroy of what never was succeeds', async () => {
      await world.provider.destroy(newId())
    })

    test('several destroys of one sandbox at once succeed', async () => {
      const { id } = await world.create()
      await Promise.all([1, 2, 3].map(() => world.provider.destroy(id)))
      expect(await world.provider.list()).not.toContain(id)
    })

    test('create with an id again replaces what an earlier attempt left', async () => {
      const first = await world.create()
      const firstWire = await world.connect(first)
      await firstWire.files.write('/tmp/left', 'x')
      const second = await world.create({ id: first.id })
      expect(await firstWire.closed).toBeTruthy()
      expect(await world.provider.inspect(first.id, first.created.handle)).toMatchObject({ state: 'gone' })
      expect(await world.provider.inspect(second.id, second.created.handle)).toEqual({ state: 'running' })
      const wire = await world.connect(second)
      await expect(wire.files.stat('/tmp/left')).rejects.toMatchObject({ code: 'not_found' })
      await expect(world.connect({ ...second, keys: first.keys })).rejects.toMatchObject(lost)
      await world.provider.destroy(second.id)
    })

    test.each([0, 1, 5, 20, 50])('a create that is stopped after %i ms leaves nothing', async (ms) => {
      const id = newId()
      const controller = new AbortController()
      const creating = world.create({ id, signal: controller.signal })
      const timer = setTimeout(() => controller.abort(), ms)
      const made = await creating.then(
        () => true,
        () => false,
      )
      clearTimeout(timer)
      if (made) await world.provider.destroy(id)
      expect(await world.provider.list()).not.toContain(id)
    })

    test('several are made at once and know nothing of each other', async () => {
      const guests = await Promise.all([world.create(), world.create(), world.create()])
      const wires = await Promise.all(guests.map((guest) => world.connect(guest)))
      await Promise.all(wires.map((wire, i) => wire.files.write('/tmp/mine', `of ${i}`)))
      await Promise.all(wires.map((wire, i) => wire.run({ command: `${nap(7110 + i)} & exit 0` })))
      for (const [i, wire] of wires.entries()) {
        expect((await wire.files.read('/tmp/mine', 100)).toString()).toBe(`of ${i}`)
        const { stdout } = await wire.run({ command: 'cat /proc/[0-9]*/cmdline | tr "\\0" " "' })
        const seen = [0, 1, 2].filter((other) => stdout.toString().includes(nap(7110 + other)))
        expect(seen).toEqual([i])
      }
      await Promise.all(guests.map(({ id }) => world.provider.destroy(id)))
    })

    test('a handle that is not its own opens nothing', async () => {
      const { id } = await world.create()
      for (const handle of [{}, { pid: process.pid, start: '1', uid: null }, { pid: -1 }]) {
        expect(await world.provider.inspect(id, handle)).toMatchObject({ state: 'gone' })
        await expect(world.provider.open(id, handle)).rejects.toMatchObject(lost)
      }
      await world.provider.destroy(id)
    })
  })

  describe('connections', () => {
    test('come and go, several at a time, and the sandbox goes on', async () => {
      const guest = await world.create()
      const [one, two] = await Promise.all([world.connect(guest), world.connect(guest)])
      await one.files.write('/tmp/shared', 'by one')
      await two.run({ command: `${nap(7200)} & exit 0` })
      expect((await two.files.read('/tmp/shared', 100)).toString()).toBe('by one')
      one.close()
      two.close()
      expect(await world.provider.inspect(guest.id, guest.created.handle)).toEqual({ state: 'running' })
      const three = await world.connect(guest)
      const { stdout } = await three.run({
        command: 'cat /tmp/shared; cat /proc/[0-9]*/cmdline | tr "\\0" " "',
      })
      expect(stdout.toString()).toMatch(/^by one/)
      expect(stdout.toString()).toContain(nap(7200))
      await world.provider.destroy(guest.id)
    })

    test('with another key are refused', async () => {
      const guest = await world.create()
      const other = await world.create()
      await expect(world.connect({ ...guest, keys: other.keys })).rejects.toMatchObject(lost)
      const client = other.keys.client
      await expect(world.connect({ ...guest, keys: { ...guest.keys, client } })).rejects.toMatchObject(lost)
      await world.provider.destroy(guest.id)
      await world.provider.destroy(other.id)
    })
  })
}
