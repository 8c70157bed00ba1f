import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { Meter } from '../models/meter.ts'
import { executeRun } from './execute.ts'
import type { Job, RunParts } from './job.ts'
import { serverStops } from './outcome.ts'
import { Turns } from './turns.ts'

/** Runs that work at the same time; the others wait as `queued`. */
const maxActive = 16

const firstPause = 1000
const longestPause = 60_000
const pageSize = 1000

type Given = Pick<Job, 'run' | 'spec' | 'actor' | 'credentials' | 'past'>

/** Every stored event of a run. */
export async function allEvents(parts: Pick<RunParts, 'ledger'>, id: RunId): Promise<Event[]> {
  const past: Event[] = []
  for (;;) {
    const page = await parts.ledger.read(id, { after: past.at(-1)?.seq ?? 0, limit: pageSize })
    past.push(...page)
    if (page.length < pageSize) return past
  }
}

/** Goes on from what the run has used so far. */
function meterOf({ spec, past }: Given): Meter {
  const meter = new Meter(spec.limits)
  for (const { type, data } of past)
    if ((type === 'message.assistant' || type === 'model.proxied') && data.usage) meter.record(data.usage)
  return meter
}

/** The runs that this process works on. */
export class ActiveRuns {
  readonly #parts: RunParts
  readonly #active = new Map<RunId, { controller: AbortController; done: Promise<void> }>()
  readonly #turns = new Turns(maxActive)
  readonly #stopping = new AbortController()

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  assertOpen(): void {
    if (this.#stopping.signal.aborted) throw serverStops
  }

  start(given: Given): void {
    const { id } = given.run
    const controller = new AbortController()
    const done = this.#bring(given, controller)
      .catch((error: unknown) =>
        this.#parts.log.error({ err: error, run: id }, 'a run could not be brought to its end'),
      )
      .finally(() => this.#active.delete(id))
    this.#active.set(id, { controller, done })
  }

  abort(id: RunId, reason: Error): void {
    this.#active.get(id)?.controller.abort(reason)
  }

  /** Stops working on every run without ending any: the next server takes them up. */
  async close(): Promise<void> {
    this.#stopping.abort(serverStops)
    const under = [...this.#active.values()]
    for (const { controller } of under) controller.abort(serverStops)
    await Promise.all(under.map(({ done }) => done))
  }

  /** Where the ledger could not be written (a full disk, a database that is away) the run goes on from it later. */
  async #bring(given: Given, controller: AbortController): Promise<void> {
    const { id } = given.run
    for (let pause = firstPause, { past } = given; ; pause = Math.min(pause * 2, longestPause)) {
      try {
        await this.#turns.run(controller.signal, () =>
          executeRun(this.#job({ ...given, past }, controller), this.#parts),
        )
        return
      } catch (error) {
        const { signal } = this.#stopping
        if (signal.aborted || !(error instanceof ForgeError) || !error.row.retryable) throw error
        this.#parts.log.warn({ err: error, run: id, pause }, 'a run waits for the store')
        await sleep(pause, undefined, { signal }).catch(() => Promise.reject(error))
        past = await allEvents(this.#parts, id).catch(() => past)
      }
    }
  }

  #job(given: Given, controller: AbortController): Job {
    const { ledger, config, runs } = this.#parts
    const { id } = given.run
    const meter = meterOf(given)
    return {
      ...given,
      config: config(),
      meter,
      controller,
      record: async (draft) => {
        const [event] = await ledger.append(id, [draft])
        if (event?.type === 'message.assistant')
          await runs.update(id, { turns: event.data.turn, tokens: meter.tokens, cost: meter.cost })
        return event as Event
      },
    }
  }
}
