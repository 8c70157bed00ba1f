import { randomInt } from 'node:crypto'
import type { Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { persistently, storeError } from '../store/errors.ts'
import type { Encoded } from './encode.ts'
import { findGroup, insertGroup, type RunRows, readHead } from './rows.ts'

/** One call of `append`. */
interface Append {
  readonly run: RunId
  readonly at: string
  readonly events: readonly Encoded[]
  readonly bytes: number
  readonly resolve: (events: Event[]) => void
  readonly reject: (error: ForgeError) => void
}

const maxGroupEvents = 1000
const maxGroupBytes = 4 * 1024 * 1024
/** How long a group waits for a database that went away, in milliseconds. */
const patience = 30_000

const closes = (append: Append) => append.events.at(-1)?.type === 'run.finished'

interface GroupCommitOptions {
  /** A client of one connection, named `name`. */
  readonly sql: Sql
  readonly name: string
  /** Marks this writer's notices. */
  readonly origin: string
  /** Called once per append, in order, when its events are durable and before its caller knows. */
  readonly onStored: (run: RunId, events: Event[], bytes: number) => void
}

/** Puts the appends that wait while a transaction commits into the next one. */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  #queue: Append[] = []
  #running: Promise<void> | null = null
  #closed = false

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  append(run: RunId, at: string, events: readonly Encoded[]): Promise<Event[]> {
    if (this.#closed) return Promise.reject(new ForgeError('store_unavailable', 'the server is stopping'))
    const bytes = events.reduce((sum, event) => sum + event.json.length, 0)
    return new Promise((resolve, reject) => {
      this.#queue.push({ run, at, events, bytes, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when everything that was appended before is stored or refused. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // One turn of the event loop: whoever is woken by the commit before gets to append first.
      await new Promise((resolve) => setImmediate(resolve))
      await this.#commit(this.#takeGroup())
    }
    this.#running = null
  }

  /** In order per run. What follows a run's last event waits for the next group, where the row says that the run is finished. */
  #takeGroup(): Append[] {
    const group: Append[] = []
    const rest: Append[] = []
    const held = new Set<RunId>()
    let events = 0
    let bytes = 0
    for (const append of this.#queue) {
      const full =
        group.length > 0 &&
        (events + append.events.length > maxGroupEvents || bytes + append.bytes > maxGroupBytes)
      if (full || held.has(append.run)) {
        held.add(append.run)
        rest.push(append)
        continue
      }
      group.push(append)
      events += append.events.length
      bytes += append.bytes
      if (closes(append)) held.add(append.run)
    }
    this.#queue = rest
    return group
  }

  async #commit(group: readonly Append[]): Promise<void> {
    let last: Map<string, number>
    try {
      last = await this.#store(group)
    } catch (error) {
      const reason = refusal(error)
      // Something in the group cannot be stored; alone, each append answers for itself only.
      if (group.length > 1 && !reason.row.retryable) for (const append of group) await this.#commit([append])
      else for (const append of group) append.reject(reason)
      return
    }
    await this.#settle(group, last)
  }

  /** A commit whose answer was lost may have happened: that is found out before the group is tried again. */
  async #store(group: readonly Append[]): Promise<Map<string, number>> {
    const { sql, origin } = this.#options
    const batch = randomInt(1, 2 ** 48 - 1)
    const rows = rowsByRun(group)
    let lost = false
    const attempt = async () => {
      if (lost) {
        const found = await this.#findLost(rows, batch)
        if (found.size > 0) return found
      }
      lost = true
      return insertGroup(sql, rows, { batch, origin })
    }
    return persistently(attempt, { patience })
  }

  async #findLost(rows: readonly RunRows[], batch: number): Promise<Map<string, number>> {
    const { sql, name } = this.#options
    await sql`
      SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
      WHERE application_name = ${name} AND pid <> pg_backend_pid()`
    return findGroup(
      sql,
      rows.map(({ run }) => run),
      batch,
    )
  }

  async #settle(group: readonly Append[], last: Map<string, number>): Promise<void> {
    const next = new Map<string, number>()
    for (const { run, rows } of rowsByRun(group)) next.set(run, (last.get(run) ?? 0) - rows.length + 1)
    for (const append of group) {
      if (!last.has(append.run)) {
        append.reject(await this.#explain(append.run))
        continue
      }
      const first = next.get(append.run) ?? 1
      next.set(append.run, first + append.events.length)
      const events = append.events.map(
        ({ actor, type, data }, index) =>
          ({ run: append.run, seq: first + index, at: append.at, actor, type, data }) as Event,
      )
      this.#options.onStored(append.run, events, append.bytes)
      append.resolve(events)
    }
  }

  async #explain(run: RunId): Promise<ForgeError> {
    try {
      const head = await readHead(this.#options.sql, run)
      if (head === null) return new ForgeError('not_found', `there is no run ${run}`)
      return new ForgeError('conflict', `run ${run} has finished: nothing more can happen in it`)
    } catch (error) {
      return storeError(error)
    }
  }
}

function rowsByRun(group: readonly Append[]): RunRows[] {
  const byRun = new Map<RunId, { at: string; event: Encoded }[]>()
  for (const { run, at, events } of group) {
    const rows = byRun.get(run) ?? []
    byRun.set(run, rows)
    for (const event of events) rows.push({ at, event })
  }
  return [...byRun].map(([run, rows]) => ({ run, rows }))
}

/** 54 is a limit of PostgreSQL's, such as JSON nested too deeply; 22 a value that a type cannot hold. */
function refusal(error: unknown): ForgeError {
  const known = storeError(error)
  const code = (known.cause as { code?: unknown } | undefined)?.code
  if (known.code !== 'internal' || !/^(54|22)/.test(String(code))) return known
  return new ForgeError('too_large', `an event cannot be stored: ${known.message}`, { cause: error })
}
