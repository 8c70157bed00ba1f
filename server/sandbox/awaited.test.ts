import { expect, it } from 'vitest'
import { SandboxId } from '#core/id.ts'
import { SandboxLimits } from '#core/sandbox/sandbox.ts'
import { type Absent, awaitedProvider } from './awaited.ts'
import type { SandboxProvider } from './provider.ts'

const soon = () => AbortSignal.timeout(1000)
const id = SandboxId.parse('sbx_0123456789')
const absent: Absent = { detail: 'the host lacks bwrap', fix: ['apt-get install bubblewrap'] }
const there: SandboxProvider = {
  name: 'here',
  capabilities: { kernel: 'shared', outlivesServer: true, suspend: false, snapshot: false },
  probe: async () => ({
    id: 'here',
    works: true,
    kernel: 'shared',
    bootMs: 1,
    detail: '',
    fix: [],
    enforcement: null,
  }),
  create: async () => Promise.reject(new Error('not asked for')),
  open: async () => Promise.reject(new Error('not asked for')),
  inspect: async () => ({ state: 'running' }),
  destroy: async () => undefined,
  list: async () => [id],
}

it('says what is missing until it is there, and then works without being made anew', async () => {
  let found: SandboxProvider | Absent = absent
  let looks = 0
  const find = async () => {
    looks += 1
    return found
  }
  const provider = awaitedProvider({ name: 'here', kernel: 'shared', find })
  expect(await provider.probe(soon())).toMatchObject({ works: false, ...absent })
  const request = { id, limits: SandboxLimits.parse({}), clientPublicKey: '', hostPrivateKey: '' }
  await expect(provider.create(request, soon())).rejects.toMatchObject({
    code: 'provider_unavailable',
    hint: 'run: apt-get install bubblewrap',
  })
  expect(await provider.inspect(id, {})).toEqual({ state: 'gone', reason: absent.detail })
  expect([await provider.list(), await provider.destroy(id)]).toEqual([[], undefined])
  expect(provider.capabilities.outlivesServer).toBe(false)
  found = there
  expect(await provider.probe(soon())).toMatchObject({ works: true })
  expect(await provider.list()).toEqual([id])
  expect(provider.capabilities.outlivesServer).toBe(true)
  expect(looks).toBe(6)
})
