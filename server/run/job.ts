import type { Logger } from 'pino'
import type { Config } from '#core/config/config.ts'
import type { Event } from '#core/event/event.ts'
import type { ModelCredentials, Run, RunSpec } from '#core/run/run.ts'
import type { BlobStore } from '../ledger/blobs.ts'
import type { Ledger, Record } from '../ledger/ledger.ts'
import type { Meter } from '../models/meter.ts'
import type { ModelProvider } from '../models/provider.ts'
import type { Attachment } from '../sandbox/attachment.ts'
import type { Sandboxes } from '../sandbox/sandboxes.ts'
import type { Workspaces } from '../workspace/workspace.ts'
import type { RunStore } from './run-store.ts'

export interface AttachRequest {
  readonly config: Config
  readonly allow: readonly string[]
  readonly credentials: ModelCredentials | undefined
  readonly meter: Meter
  readonly record: Record
  /** There is a cost limit, so only models with a known price may be asked from inside. */
  readonly pricedOnly: boolean
}

/** What running an agent needs from the rest of the server. */
export interface RunParts {
  readonly ledger: Ledger
  readonly runs: RunStore
  readonly blobs: BlobStore
  readonly sandboxes: Sandboxes
  readonly workspaces: Workspaces
  readonly config: () => Config
  readonly attach: (request: AttachRequest) => Attachment
  readonly resolveModel: (
    id: string | undefined,
    credentials: ModelCredentials | undefined,
  ) => Promise<ModelProvider>
  /** Throws `invalid_input` for a model whose price is not known: a cost limit could not be held. */
  readonly assertPriced: (model: string) => void
  readonly now: () => number
  readonly log: Logger
}

/** One run while this process works on it. */
export interface Job {
  readonly run: Run
  readonly spec: RunSpec
  /** Who asked for it: `user:NAME`. */
  readonly actor: string
  readonly credentials: ModelCredentials | undefined
  readonly config: Config
  readonly meter: Meter
  readonly controller: AbortController
  readonly record: Record
  /** Everything up to the crash, when an earlier server began this run; else empty. */
  readonly past: readonly Event[]
}
