import { ForgeError } from '#core/errors.ts'
import type { SandboxProvider } from './provider.ts'

/** Stands in for a provider whose programs are missing on this host, so that `forge doctor` can say which and how to bring them. */
export function unavailableProvider(about: {
  name: string
  kernel: 'shared' | 'own'
  detail: string
  fix: string[]
}): SandboxProvider {
  const refuse = () =>
    Promise.reject(
      new ForgeError('provider_unavailable', `${about.name}: ${about.detail}`, {
        hint: `run: ${about.fix.join(' ; ')}`,
      }),
    )
  return {
    name: about.name,
    capabilities: { kernel: about.kernel, outlivesServer: false, suspend: false, snapshot: false },
    probe: async () => ({
      id: about.name,
      works: false,
      kernel: about.kernel,
      bootMs: null,
      detail: about.detail,
      fix: about.fix,
      enforcement: null,
    }),
    create: refuse,
    open: refuse,
    inspect: async () => ({ state: 'gone', reason: about.detail }),
    destroy: async () => undefined,
    list: async () => [],
  }
}
