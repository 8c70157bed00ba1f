import type { Clock } from '#core/id.ts'
import type { RunLimits } from '#core/run/run.ts'
import type { Record as RecordEvent } from '../ledger/ledger.ts'
import type { Meter } from '../models/meter.ts'
import type { ModelProvider } from '../models/provider.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import type { History } from './history.ts'
import type { Instructions } from './instructions.ts'

export interface AgentOptions {
  readonly model: ModelProvider
  readonly wire: Wire
  /** The work tree in the sandbox. */
  readonly workdir: string
  readonly prompt: string
  /** Who asked: `user:NAME`, for `message.user`. */
  readonly actor: string
  /** The ledger of this run. */
  readonly record: RecordEvent
  /** Must already hold what `history` used. */
  readonly meter: Meter
  readonly limits: RunLimits
  readonly maxOutputTokens: number
  readonly check?: string | undefined
  /** A conversation that goes on; absent: it begins with `prompt`. */
  readonly history?: History | undefined
  readonly instructions: Instructions
  /** What the sandbox may reach, for the model to know. */
  readonly allow: readonly string[]
  /**
   * Ends the run. The outcome is that of its reason: an error with an `outcome`, or a ForgeError
   * (`interrupted`, `terminated`, `sandbox_lost`, …); with any other reason it is `cancelled`.
   */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch: when the wall time of the run is spent. */
  readonly deadline: number
  readonly clock: Clock
  /** A folder in the sandbox for outputs that are too long for the model; default `/tmp/forge/output`. */
  readonly outputFolder?: string | undefined
  /** Characters of conversation in one request; beyond, old tool results are sent shortened. */
  readonly maxRequestChars?: number | undefined
}
