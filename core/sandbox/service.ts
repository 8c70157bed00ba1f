import type { SandboxId } from '../id.ts'
import type { ProviderReport, Sandbox, SandboxSpec } from './sandbox.ts'

export interface SandboxService {
  /** Newest first; without `all` only those that live. */
  list(all: boolean): Promise<Sandbox[]>
  create(spec: SandboxSpec): Promise<Sandbox>
  /** `ref` is an id, the unambiguous beginning of one, or a name. Throws `not_found`, `conflict`. */
  get(ref: string): Promise<Sandbox>
  /** Idempotent. */
  destroy(id: SandboxId): Promise<void>
  /** Boots one sandbox of each provider. */
  probe(): Promise<ProviderReport[]>
}
