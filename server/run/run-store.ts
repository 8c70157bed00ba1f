import { and, desc, eq, like, ne, type SQL, sql } from 'drizzle-orm'
import { ForgeError } from '#core/errors.ts'
import { type Clock, type IdPrefix, makeId, RunId } from '#core/id.ts'
import {
  assertRunMove,
  noTokens,
  type Run,
  type RunOutcome,
  type RunSpec,
  type RunState,
} from '#core/run/run.ts'
import { encode, storable } from '../ledger/encode.ts'
import { worded } from '../store/errors.ts'
import { idsLike, mostMatches, theOnly, withFreshId } from '../store/refs.ts'
import { events } from '../store/schema/events.ts'
import { runs } from '../store/schema/runs.ts'
import type { Store } from '../store/store.ts'

interface NewRun {
  readonly spec: RunSpec
  /** Who asked for it: `user:NAME`. */
  readonly actor: string
  readonly model: string
  readonly provider: string
  /** For display: a path, a URL, or `none`. */
  readonly source: string
}

/** What a run shows of its progress. A field that is left out stays as it is. */
type RunProgress = Partial<
  Pick<Run, 'model' | 'provider' | 'sandbox' | 'turns' | 'tokens' | 'cost' | 'diff' | 'summary' | 'reason'>
>

type CancelOutcome = Extract<RunOutcome, 'cancelled' | 'interrupted' | 'terminated'>

export interface RunStore {
  /** The row and its first event, `run.created`, appear together. */
  create(run: NewRun): Promise<Run>
  /** `ref` is an id, the beginning of one that fits one run only, or `last`. Throws `not_found`, `conflict`. */
  get(ref: string): Promise<Run>
  /** Newest first. */
  list(limit: number): Promise<Run[]>
  spec(id: RunId): Promise<RunSpec>
  /** Every run that is not finished, oldest first. */
  unfinished(): Promise<Run[]>
  counts(): Promise<{ active: number; total: number }>
  /**
   * Compares with `from` and sets in one statement. The move to `finished` is the ledger's, with `run.finished`.
   * Throws `illegal_move` for what the table does not have, `conflict` when the run is not in `from`, `not_found`.
   */
  setState(id: RunId, move: { from: RunState; to: Exclude<RunState, 'finished'> }): Promise<Run>
  update(id: RunId, progress: RunProgress): Promise<void>
  /** Kept for a server that restarts before the run has stopped; the first request wins. */
  requestCancel(id: RunId, outcome: CancelOutcome): Promise<void>
  cancelRequested(id: RunId): Promise<CancelOutcome | null>
}

const shown = {
  id: runs.id,
  state: runs.state,
  outcome: runs.outcome,
  prompt: sql<string>`${runs.spec} ->> 'prompt'`,
  model: runs.model,
  provider: runs.provider,
  sandbox: runs.sandbox,
  source: runs.source,
  check: sql<string | null>`${runs.spec} ->> 'check'`,
  limits: sql<Run['limits']>`${runs.spec} -> 'limits'`,
  turns: runs.turns,
  tokens: runs.tokens,
  cost: runs.cost,
  diff: runs.diff,
  summary: runs.summary,
  reason: runs.reason,
  createdAt: runs.createdAt,
  finishedAt: runs.finishedAt,
  lastSeq: runs.lastSeq,
}

type ShownRow = Omit<Run, 'id' | 'sandbox'> & { id: string; sandbox: string | null }
const toRun = (row: ShownRow): Run => row as Run

const noSuchRun = (ref: string) =>
  new ForgeError('not_found', `there is no run ${ref}`, { hint: '"forge runs ls" lists them' })

/** A prompt of a million characters takes up to six bytes for each of them as JSON. */
const maxCreatedBytes = 8 * 1024 * 1024

/** Every method throws `store_unavailable` and `disk_full` besides what it says itself. */
class PostgresRunStore implements RunStore {
  readonly #store: Store
  readonly #clock: Clock
  readonly #makeId: (prefix: IdPrefix) => string

  constructor(store: Store, options: { clock: Clock; makeId: (prefix: IdPrefix) => string }) {
    this.#store = store
    this.#clock = options.clock
    this.#makeId = options.makeId
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  create(run: NewRun): Promise<Run> {
    return withFreshId('runs_pkey', () => this.#insert(RunId.parse(this.#makeId('run')), run))
  }

  #insert(id: RunId, run: NewRun): Promise<Run> {
    const { spec, actor, model, provider, source } = storable(run)
    const createdAt = this.#now()
    const draft = { actor, type: 'run.created', data: { spec, model, provider, source } } as const
    const first = encode(draft, maxCreatedBytes)
    return this.#store.db.transaction(async (tx) => {
      const row = {
        id,
        spec,
        actor,
        model,
        provider,
        source,
        createdAt,
        tokens: noTokens,
        cost: 0,
        lastSeq: 1,
      }
      const [made] = await tx.insert(runs).values(row).returning(shown)
      await tx.insert(events).values({
        runId: id,
        seq: 1,
        at: createdAt,
        actor,
        type: first.type,
        data: first.data,
        batch: 0,
      })
      return toRun(made as ShownRow)
    })
  }

  async get(ref: string): Promise<Run> {
    if (ref === 'last') {
      const [run] = await this.list(1)
      if (run === undefined) throw noSuchRun('yet')
      return run
    }
    const pattern = idsLike('run', ref)
    if (pattern === null) throw noSuchRun(ref)
    const { db } = this.#store
    const found = await worded(db.select(shown).from(runs).where(like(runs.id, pattern)).limit(mostMatches))
    return toRun(theOnly(found, { ref, plural: 'runs', none: () => noSuchRun(ref) }))
  }

  async list(limit: number): Promise<Run[]> {
    const order = [desc(runs.createdAt), desc(runs.id)]
    const rows = await worded(
      this.#store.db
        .select(shown)
        .from(runs)
        .orderBy(...order)
        .limit(limit),
    )
    return rows.map(toRun)
  }

  async unfinished(): Promise<Run[]> {
    const { db } = this.#store
    const rows = await worded(
      db.select(shown).from(runs).where(ne(runs.state, 'finished')).orderBy(runs.createdAt, runs.id),
    )
    return rows.map(toRun)
  }

  async counts(): Promise<{ active: number; total: number }> {
    const columns = {
      active: sql<number>`count(*) FILTER (WHERE ${ne(runs.state, 'finished')})::int`,
      total: sql<number>`count(*)::int`,
    }
    const [row] = await worded(this.#store.db.select(columns).from(runs))
    return row ?? { active: 0, total: 0 }
  }

  async setState(
    id: RunId,
    { from, to }: { from: RunState; to: Exclude<RunState, 'finished'> },
  ): Promise<Run> {
    assertRunMove(from, to)
    const run = await this.#change({ state: to }, and(eq(runs.id, id), eq(runs.state, from)))
    if (run !== undefined) return run
    const { state } = await this.#column(id, { state: runs.state })
    throw new ForgeError('conflict', `run ${id} is ${state}, not ${from}`, { data: { state, from, to } })
  }

  async #change(change: Partial<typeof runs.$inferInsert>, where: SQL | undefined): Promise<Run | undefined> {
    const [row] = await worded(this.#store.db.update(runs).set(change).where(where).returning(shown))
    return row && toRun(row)
  }

  async #set(id: RunId, change: Partial<typeof runs.$inferInsert>): Promise<void> {
    const set = this.#store.db.update(runs).set(storable(change)).where(eq(runs.id, id))
    const found = await worded(set.returning({ id: runs.id }))
    if (found.length === 0) throw noSuchRun(id)
  }

  async #column<K extends 'state' | 'spec' | 'cancelled'>(id: RunId, column: { [P in K]: (typeof runs)[P] }) {
    const [row] = await worded(this.#store.db.select(column).from(runs).where(eq(runs.id, id)))
    if (row === undefined) throw noSuchRun(id)
    return row
  }

  async update(id: RunId, progress: RunProgress): Promise<void> {
    if (Object.keys(progress).length > 0) await this.#set(id, progress)
  }

  async spec(id: RunId): Promise<RunSpec> {
    return (await this.#column(id, { spec: runs.spec })).spec
  }

  async requestCancel(id: RunId, outcome: CancelOutcome): Promise<void> {
    const { db } = this.#store
    const cancelled = sql<CancelOutcome>`coalesce(${runs.cancelled}, ${outcome})`
    const found = await worded(
      db.update(runs).set({ cancelled }).where(eq(runs.id, id)).returning({ id: runs.id }),
    )
    if (found.length === 0) throw noSuchRun(id)
  }

  async cancelRequested(id: RunId): Promise<CancelOutcome | null> {
    return (await this.#column(id, { cancelled: runs.cancelled })).cancelled
  }
}

/** `random` gives that many random bytes. */
export const runStore = (
  store: Store,
  { random, clock }: { random: (bytes: number) => Uint8Array; clock: Clock },
): RunStore => new PostgresRunStore(store, { clock, makeId: (prefix) => makeId(prefix, random) })
