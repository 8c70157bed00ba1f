import { randomBytes } from 'node:crypto'
import type { Event, EventDraft } from '#core/event/event.ts'
import { noTokens, RunSpec } from '#core/run/run.ts'
import type { StreamItem } from '#core/stream.ts'
import type { PostgresLedger } from '../../ledger/postgres-ledger.ts'
import type { RunStore } from '../../run/run-store.ts'
import type { Store } from '../store.ts'

export interface OpenedStore {
  readonly store: Store
  /** A second process's view of the same database. */
  readonly again: () => Promise<Store>
  readonly close: () => Promise<void>
}

export const clock = { now: () => Date.now() }
export const random = (bytes: number) => randomBytes(bytes)

export const newRun = (prompt = 'do it') => ({
  spec: RunSpec.parse({ prompt }),
  actor: 'user:test',
  model: 'demo/scripted',
  provider: 'bubblewrap',
  source: 'none',
})

export const said = (text: string): EventDraft => ({
  actor: 'user:test',
  type: 'message.user',
  data: { text },
})

export const finished: Extract<EventDraft, { type: 'run.finished' }> = {
  actor: 'server',
  type: 'run.finished',
  data: {
    outcome: 'done',
    exitCode: 0,
    summary: null,
    reason: null,
    turns: 0,
    tokens: noTokens,
    cost: 0,
    diff: null,
    check: null,
    ms: 1,
  },
}

/** Follows to the end. `pause` makes a slow reader. */
export async function collect(
  stream: AsyncIterable<StreamItem<Event>>,
  pause: () => Promise<unknown> = async () => undefined,
): Promise<{ events: Event[]; caughtUp: number[] }> {
  const events: Event[] = []
  const caughtUp: number[] = []
  for await (const item of stream) {
    if (item.kind === 'caught-up') caughtUp.push(item.after)
    else {
      events.push(item.item)
      await pause()
    }
  }
  return { events, caughtUp }
}

export const seqs = (events: readonly Event[]) => events.map((event) => event.seq)
export const upTo = (from: number, last: number) =>
  Array.from({ length: last - from + 1 }, (_, index) => from + index)
export const forever = new AbortController().signal

/** What the parts of the suite work on, once it is open. */
export interface Subject extends OpenedStore {
  readonly runs: RunStore
  readonly ledger: PostgresLedger
}
