import { ForgeError } from '#core/errors.ts'
import type { SandboxProvider } from './provider.ts'

export interface Absent {
  /** What is missing. */
  readonly detail: string
  /** Commands that bring it. */
  readonly fix: string[]
}

/**
 * A provider whose programs this host may lack: then `forge doctor` can say which, and how to bring them. It
 * looks again at each call until they are there, so that whoever brought them need not restart the server.
 */
export function awaitedProvider(about: {
  name: string
  kernel: 'shared' | 'own'
  find(): Promise<SandboxProvider | Absent>
}): SandboxProvider {
  const { name, kernel } = about
  let present: SandboxProvider | null = null
  const look = async (): Promise<SandboxProvider | Absent> => {
    if (present !== null) return present
    const found = await about.find()
    if ('probe' in found) present ??= found
    return present ?? found
  }
  const need = async (): Promise<SandboxProvider> => {
    const found = await look()
    if ('probe' in found) return found
    throw new ForgeError('provider_unavailable', `${name}: ${found.detail}`, {
      hint: `run: ${found.fix.join(' ; ')}`,
    })
  }
  return {
    name,
    get capabilities() {
      return present?.capabilities ?? { kernel, outlivesServer: false, suspend: false, snapshot: false }
    },
    async probe(signal) {
      const found = await look()
      return 'probe' in found
        ? found.probe(signal)
        : { id: name, works: false, kernel, bootMs: null, enforcement: null, ...found }
    },
    create: async (request, signal) => (await need()).create(request, signal),
    open: async (id, handle) => (await need()).open(id, handle),
    async inspect(id, handle) {
      const found = await look()
      return 'probe' in found ? found.inspect(id, handle) : { state: 'gone', reason: found.detail }
    },
    async destroy(id) {
      const found = await look()
      if ('probe' in found) await found.destroy(id)
    },
    async list() {
      const found = await look()
      return 'probe' in found ? found.list() : []
    },
  }
}
