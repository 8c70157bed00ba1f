import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'
import type { Event, EventDraft } from '#core/event/event.ts'
import { type Clock, RunId } from '#core/id.ts'
import type { StreamItem } from '#core/stream.ts'
import { persistently } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { encode } from './encode.ts'
import { Hub } from './follower.ts'
import { GroupCommit } from './group-commit.ts'
import type { Ledger } from './ledger.ts'
import { channel, readEvents, readHead } from './rows.ts'

/** Events of one page of a follower: at most so many megabytes, since that is what one event may have. */
const pageSize = 64
const readPatience = 5_000
const followPatience = 60_000
/** Between attempts to listen again. */
const listenPause = 250

export interface PostgresLedger extends Ledger {
  /** Stores what was appended before, ends the followers with `store_unavailable`, and ends its connections. */
  close(): Promise<void>
}

class LedgerOnPostgres implements PostgresLedger {
  readonly #sql: Sql
  readonly #clock: Clock
  readonly #writer: Sql
  readonly #listener: Sql
  readonly #commits: GroupCommit
  readonly #hub = new Hub()
  readonly #closing = new AbortController()
  readonly #origin = randomBytes(8).toString('hex')
  /** Counts lost connections of the listener. */
  #lost = 0
  #listening = false

  constructor({ store, clock }: { store: Store; clock: Clock }) {
    const name = `forge ledger ${this.#origin}`
    this.#sql = store.sql
    this.#clock = clock
    this.#writer = store.connect({ name, max: 1 })
    this.#commits = new GroupCommit({
      sql: this.#writer,
      name,
      origin: this.#origin,
      onStored: (run, events, bytes) => this.#hub.push(run, events, bytes),
    })
    this.#listener = store.connect({
      name: `forge listener ${this.#origin}`,
      max: 1,
      onNotify: (_channel, payload) => this.#onNotify(payload),
      onClose: () => {
        this.#lost += 1
        void this.#listen()
      },
    })
    void this.#listen()
  }

  /** Listens, again after every loss; what was missed meanwhile is read from the store. */
  async #listen(): Promise<void> {
    if (this.#listening) return
    this.#listening = true
    const { signal } = this.#closing
    for (let seen = -1; seen !== this.#lost && !signal.aborted; ) {
      seen = this.#lost
      const listening = await this.#listener`LISTEN ${this.#listener(channel)}`.then(
        () => true,
        () => false,
      )
      if (listening) continue
      seen = -1
      await sleep(listenPause, undefined, { signal }).catch(() => undefined)
    }
    this.#listening = false
    this.#hub.recheck()
  }

  #onNotify(payload: string): void {
    const [origin, run, seq] = payload.split(' ')
    const known = RunId.safeParse(run)
    if (origin !== this.#origin && known.success) this.#hub.hint(known.data, Number(seq) || 0)
  }

  async append(run: RunId, drafts: EventDraft[]): Promise<Event[]> {
    if (drafts.length === 0) return []
    const encoded = drafts.map((draft) => encode(draft))
    if (encoded.slice(0, -1).some(({ type }) => type === 'run.finished'))
      throw new ForgeError('internal', 'run.finished must be the last event of a run')
    return this.#commits.append(run, new Date(this.#clock.now()).toISOString(), encoded)
  }

  read(run: RunId, range: { after: number; limit: number }): Promise<Event[]> {
    return persistently(() => readEvents(this.#sql, run, range), { patience: readPatience })
  }

  async *follow(run: RunId, after: number, signal: AbortSignal): AsyncGenerator<StreamItem<Event>, void> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    const follower = this.#hub.add(run)
    try {
      let cursor = after
      for await (const item of this.#items(run, { after, follower, signal: either })) {
        if (item.kind === 'item') cursor = item.item.seq
        yield item
        if (signal.aborted) return
      }
      if (!signal.aborted && this.#closing.signal.aborted)
        throw new ForgeError('store_unavailable', 'the server is stopping', { data: { after: cursor } })
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#hub.remove(run, follower)
    }
  }

  /** Ends after `run.finished` or when the signal aborts. */
  async *#items(
    run: RunId,
    { after, follower, signal }: { after: number; follower: ReturnType<Hub['add']>; signal: AbortSignal },
  ): AsyncGenerator<StreamItem<Event>, void> {
    const options = { patience: followPatience, signal }
    const head = await persistently(() => readHead(this.#sql, run), options)
    if (head === null) throw new ForgeError('not_found', `there is no run ${run}`)
    follower.hint(head.last)
    let cursor = after
    let caughtUp = false
    let finished = head.finished && after >= head.last
    while (!signal.aborted) {
      if (!caughtUp && cursor >= head.last) {
        caughtUp = true
        yield { kind: 'caught-up', after: cursor }
      }
      if (finished && caughtUp) return
      let fresh = follower.take(cursor)
      if (fresh.length === 0 && follower.mustRead(cursor)) {
        const range = { after: cursor, limit: pageSize }
        fresh = await persistently(() => readEvents(this.#sql, run, range), options)
      } else if (fresh.length === 0) await follower.news(signal)
      for (const item of fresh) {
        cursor = item.seq
        finished = item.type === 'run.finished'
        yield { kind: 'item', item }
      }
    }
  }

  async close(): Promise<void> {
    await this.#commits.close()
    this.#closing.abort()
    await Promise.all([this.#writer.end({ timeout: 2 }), this.#listener.end({ timeout: 2 })])
  }
}

/** The ledger of every run in `store`. Appends throw `not_found`, `conflict` (the run has finished), `too_large` and `internal` besides what the contract says. */
export const postgresLedger = (options: { store: Store; clock: Clock }): PostgresLedger =>
  new LedgerOnPostgres(options)
