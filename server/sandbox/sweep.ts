import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import type { SandboxProvider } from './provider.ts'

interface Sweep {
  readonly providers: readonly SandboxProvider[]
  /** The sandboxes that have a live row. */
  readonly owned: () => Promise<ReadonlySet<SandboxId>>
  /** Whether a probe is under way, whose sandbox has no row. */
  readonly isProbing: () => boolean
  readonly remove: (provider: SandboxProvider, id: SandboxId) => Promise<void>
  /** A provider that could not be asked; the others are. */
  readonly onUnavailable: (provider: SandboxProvider, error: ForgeError) => void
}

/**
 * Removes from the hosts what no live row owns; gives how many that were. A row is there before its sandbox is,
 * so one that is being created is safe when the hosts are asked first.
 */
export async function sweep({ providers, owned, isProbing, remove, onUnavailable }: Sweep): Promise<number> {
  let removed = 0
  for (const provider of providers) {
    const present = await provider.list().catch((error: unknown) => {
      if (!(error instanceof ForgeError) || error.code !== 'provider_unavailable') throw error
      onUnavailable(provider, error)
      return []
    })
    if (present.length === 0 || isProbing()) continue
    const live = await owned()
    for (const id of present) {
      if (live.has(id)) continue
      await remove(provider, id)
      removed += 1
    }
  }
  return removed
}
