import type { Event, EventDraft } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { StreamItem } from '#core/stream.ts'

export interface Ledger {
  /**
   * Resolves with the stored events once they are durable. Events of one run get gapless, rising `seq` in
   * the order of the calls. Appends of many callers share transactions. Throws `store_unavailable`,
   * `disk_full`; then none of this call's events is stored.
   */
  append(run: RunId, drafts: EventDraft[]): Promise<Event[]>
  read(run: RunId, range: { after: number; limit: number }): Promise<Event[]>
  /**
   * The stored events after `after`, one `caught-up`, then live ones: each exactly once, in order. Ends after
   * `run.finished` or when `signal` aborts. A slow reader is served from the store, so memory stays bounded.
   */
  follow(run: RunId, after: number, signal: AbortSignal): AsyncIterable<StreamItem<Event>>
}

/** The ledger of one run, as its parts get it. */
export type Record = (draft: EventDraft) => Promise<Event>
