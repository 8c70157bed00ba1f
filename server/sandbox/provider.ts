import type { Duplex } from 'node:stream'
import type { SandboxId } from '#core/id.ts'
import type { Enforcements, ProviderReport, SandboxLimits } from '#core/sandbox/sandbox.ts'

/** What a provider can do; the conformance suite asks for exactly this. */
interface ProviderCapabilities {
  readonly kernel: 'shared' | 'own'
  /** The sandbox goes on when the server's process ends, and `open` reaches it from a new one. */
  readonly outlivesServer: boolean
  readonly suspend: boolean
  readonly snapshot: boolean
}

export interface CreateRequest {
  readonly id: SandboxId
  readonly limits: SandboxLimits
  /** OpenSSH one-line public key that the guest's sshd must accept. */
  readonly clientPublicKey: string
  /** OpenSSH private key that the guest's sshd must present. */
  readonly hostPrivateKey: string
}

/**
 * What a provider needs to find its sandbox again: plain JSON, stored by the server and opaque to it.
 * It must not be trusted to prove identity by itself (a pid is reused): providers put a start time or the like in it.
 */
export type ProviderHandle = Record<string, unknown>

export interface Created {
  readonly handle: ProviderHandle
  readonly enforcement: Enforcements
}

export type Liveness =
  | { readonly state: 'running' }
  | { readonly state: 'suspended' }
  /** `reason` is a short phrase for people, for example "killed: out of memory". */
  | { readonly state: 'gone'; readonly reason: string }

/**
 * A life cycle, plus "open me a stream". Everything else (commands, files, terminals, forwards) is the wire's.
 * Every method may be called again after a crash in the middle of it: create cleans up what an earlier
 * attempt with the same id left, destroy of something that is gone succeeds.
 */
export interface SandboxProvider {
  readonly name: string
  readonly capabilities: ProviderCapabilities
  /** Boots a sandbox under a deadline and says what it saw. Never throws. */
  probe(signal: AbortSignal): Promise<ProviderReport>
  /** Resolves when `open` works. On failure or abort nothing is left. Throws `provider_unavailable`, `disk_full`. */
  create(request: CreateRequest, signal: AbortSignal): Promise<Created>
  /** A new byte stream to the guest's sshd. Throws `sandbox_lost` when it is gone. */
  open(id: SandboxId, handle: ProviderHandle): Promise<Duplex>
  inspect(id: SandboxId, handle: ProviderHandle): Promise<Liveness>
  /** Every process, file, mount and cgroup of the sandbox is gone when it resolves. Needs no handle: a crashed create has none. */
  destroy(id: SandboxId): Promise<void>
  /** Ids of all that this provider's marks on the host say belongs to this server, dead or alive. */
  list(): Promise<SandboxId[]>
}
