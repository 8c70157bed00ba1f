import { expect, test } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { SandboxId } from '#core/id.ts'
import type { SandboxProvider } from './provider.ts'
import { sweep } from './sweep.ts'

const orphan = SandboxId.parse(`sbx_${'a'.repeat(10)}`)

/** Of the contract only what a sweep asks. */
const listing = (name: string, list: SandboxProvider['list']): SandboxProvider => ({
  name,
  capabilities: { kernel: 'shared', outlivesServer: true, suspend: false, snapshot: false },
  probe: () => Promise.reject(new Error('not asked')),
  create: () => Promise.reject(new Error('not asked')),
  open: () => Promise.reject(new Error('not asked')),
  inspect: () => Promise.reject(new Error('not asked')),
  destroy: async () => undefined,
  list,
})

async function sweepWith(error: Error): Promise<{ removed: string[]; unavailable: string[] }> {
  const removed: string[] = []
  const unavailable: string[] = []
  await sweep({
    providers: [listing('away', () => Promise.reject(error)), listing('here', async () => [orphan])],
    owned: async () => new Set(),
    isProbing: () => false,
    remove: async ({ name }, id) => void removed.push(`${name} ${id}`),
    onUnavailable: ({ name }) => unavailable.push(name),
  })
  return { removed, unavailable }
}

test('a provider that cannot be reached does not keep the others from being swept', async () => {
  const away = new ForgeError('provider_unavailable', 'the engine does not answer')
  expect(await sweepWith(away)).toEqual({ removed: [`here ${orphan}`], unavailable: ['away'] })
})

test('any other failure of a sweep is not hidden', async () => {
  await expect(sweepWith(new Error('a bug'))).rejects.toThrow('a bug')
})
