import { describe, expect, it } from 'vitest'
import { SandboxSpec } from '#core/sandbox/sandbox.ts'
import { sandboxStore } from '../../sandbox/sandbox-store.ts'
import { clock, random, type Subject, upTo } from './fixtures.ts'

/** The store of sandboxes. */
export function describeSandboxes(subject: () => Subject): void {
  describe('sandboxes', () => {
    const spec = (sandboxName?: string) => SandboxSpec.parse({ name: sandboxName, allow: ['a.example:443'] })
    const make = (sandboxName?: string) => ({ spec: spec(sandboxName), run: null, provider: 'bubblewrap' })
    const enforced = { enforced: true, how: 'cgroup' }

    it('lets one live sandbox have a name, and gives it away after', async () => {
      const sandboxes = sandboxStore(subject().store, { random, clock })
      const [won, ...lost] = await Promise.allSettled(
        upTo(1, 4).map(() => sandboxes.insert(make('web'))),
      ).then((all) => all.toSorted((a) => (a.status === 'fulfilled' ? -1 : 1)))
      expect(lost.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
        Array(3).fill('conflict'),
      )
      const first = won?.status === 'fulfilled' ? won.value : expect.fail('no insert won')
      expect(await sandboxes.get('web')).toEqual(first)
      expect(await sandboxes.get(first.id.slice(0, 12))).toEqual(first)
      await sandboxes.move(first.id, 'failed', 'it \0 broke')
      await expect(sandboxes.get('web')).rejects.toMatchObject({ code: 'not_found' })
      expect(await sandboxes.get(first.id)).toMatchObject({ state: 'failed', reason: 'it ␀ broke' })
      const second = await sandboxes.insert(make('web'))
      expect((await sandboxes.get('web')).id).toBe(second.id)
      expect((await sandboxes.list(false)).map(({ id }) => id)).not.toContain(first.id)
      expect((await sandboxes.list(true)).map(({ id }) => id)).toContain(first.id)
    })

    it('moves by the table and keeps the handle', async () => {
      const sandboxes = sandboxStore(subject().store, { random, clock })
      const { id } = await sandboxes.insert(make())
      expect(await sandboxes.handle(id)).toBeNull()
      expect(await sandboxes.allow(id)).toEqual(['a.example:443'])
      await expect(sandboxes.move(id, 'running')).rejects.toMatchObject({ code: 'illegal_move' })
      await sandboxes.move(id, 'provisioning')
      const enforcement = { memory: enforced, pids: enforced, disk: enforced, cpus: enforced }
      await sandboxes.setHandle(id, { handle: { pid: 7, born: '123' }, enforcement })
      expect(await sandboxes.move(id, 'running')).toMatchObject({ state: 'running', enforcement })
      expect(await sandboxes.handle(id)).toEqual({ pid: 7, born: '123' })
      await sandboxes.move(id, 'destroyed')
      await expect(sandboxes.move(id, 'running')).rejects.toMatchObject({ code: 'illegal_move' })
    })
  })
}
