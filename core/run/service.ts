import type { Event } from '../event/event.ts'
import type { RunId } from '../id.ts'
import type { StreamItem } from '../stream.ts'
import type { RunDiff } from '../workspace/workspace.ts'
import type { ModelCredentials, Run, RunSpec } from './run.ts'

export interface RunService {
  create(spec: RunSpec, by: { actor: string; credentials?: ModelCredentials | undefined }): Promise<Run>
  /** Newest first. */
  list(limit: number): Promise<Run[]>
  /** `ref` is an id, the beginning of one that fits one run only, or `last`. Throws `not_found`, `conflict`. */
  get(ref: string): Promise<Run>
  /** Idempotent; the run then finishes by itself with that outcome. */
  cancel(
    id: RunId,
    reason: { actor: string; outcome: 'cancelled' | 'interrupted' | 'terminated' },
  ): Promise<void>
  events(id: RunId, range: { after: number; limit: number }): Promise<Event[]>
  /** Ends after `run.finished`. Every event after `after` exactly once and in order. */
  follow(id: RunId, after: number, signal: AbortSignal): AsyncIterable<StreamItem<Event>>
  /** Throws `conflict` while the run has no work to show yet. */
  diff(id: RunId): Promise<RunDiff>
}
