import { ForgeError } from '#core/errors.ts'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { ModelCredentials, Run, RunSource, RunSpec } from '#core/run/run.ts'
import type { RunService } from '#core/run/service.ts'
import { FileChange, type RunDiff } from '#core/workspace/workspace.ts'
import { Meter } from '../models/meter.ts'
import { executeRun } from './execute.ts'
import type { Job, RunParts } from './job.ts'
import { cancelReason, serverStops } from './outcome.ts'

/** Runs that work at the same time; the others wait as `queued`. */
const maxActive = 16

/** A change list longer than this is not shown, in bytes. */
const maxChanges = 256 * 2 ** 20

const pageSize = 1000

const sourceText = (source: RunSource): string =>
  source.kind === 'none'
    ? 'none'
    : source.kind === 'url'
      ? source.url.replace(/\/\/[^@/]*@/, '//')
      : source.path

/** What is under way in this process, and what the procedures do with it. */
export class Runs implements RunService {
  readonly #parts: RunParts
  readonly #active = new Map<RunId, { job: Job; done: Promise<void> }>()
  readonly #waiting: (() => void)[] = []
  #working = 0
  #stopping = false

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  get active(): number {
    return this.#active.size
  }

  async create(
    spec: RunSpec,
    by: { actor: string; credentials?: ModelCredentials | undefined },
  ): Promise<Run> {
    if (this.#stopping) throw serverStops
    const { runs, resolveModel, sandboxes, config } = this.#parts
    const provider = spec.provider === 'auto' ? config().sandbox.provider : spec.provider
    sandboxes.assertProvider(provider)
    const model = await resolveModel(spec.model, by.credentials)
    const run = await runs.create({
      spec: { ...spec, provider },
      actor: by.actor,
      model: model.id,
      provider,
      source: sourceText(spec.source),
    })
    this.#start({ run, spec: { ...spec, provider }, actor: by.actor, credentials: by.credentials, past: [] })
    return run
  }

  #start(given: Pick<Job, 'run' | 'spec' | 'actor' | 'credentials' | 'past'>): Job {
    const { ledger, config } = this.#parts
    const { id } = given.run
    const meter = new Meter(given.spec.limits)
    const job: Job = {
      ...given,
      config: config(),
      meter,
      controller: new AbortController(),
      record: async (draft) => {
        const [event] = await ledger.append(id, [draft])
        if (event?.type === 'message.assistant') await this.#progress(id, event.data.turn, meter)
        return event as Event
      },
    }
    const done = this.#place(job)
      .catch((error: unknown) =>
        this.#parts.log.error({ err: error, run: id }, 'a run could not be brought to its end'),
      )
      .finally(() => this.#active.delete(id))
    this.#active.set(id, { job, done })
    return job
  }

  async #progress(id: RunId, turns: number, meter: Meter): Promise<void> {
    await this.#parts.runs.update(id, { turns, tokens: meter.tokens, cost: meter.cost })
  }

  async #place(job: Job): Promise<void> {
    while (this.#working >= maxActive && !job.controller.signal.aborted)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        job.controller.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    this.#working += 1
    try {
      await executeRun(job, this.#parts)
    } finally {
      this.#working -= 1
      this.#waiting.shift()?.()
    }
  }

  list(limit: number): Promise<Run[]> {
    return this.#parts.runs.list(limit)
  }

  get(ref: string): Promise<Run> {
    return this.#parts.runs.get(ref)
  }

  async cancel(
    id: RunId,
    { actor, outcome }: { actor: string; outcome: 'cancelled' | 'interrupted' | 'terminated' },
  ): Promise<void> {
    const run = await this.#parts.runs.get(id)
    if (run.state === 'finished') return
    await this.#parts.runs.requestCancel(id, outcome)
    this.#active.get(id)?.job.controller.abort(cancelReason(outcome, actor))
  }

  async events(id: RunId, range: { after: number; limit: number }): Promise<Event[]> {
    await this.get(id)
    return this.#parts.ledger.read(id, range)
  }

  async *follow(id: RunId, after: number, signal: AbortSignal) {
    await this.get(id)
    yield* this.#parts.ledger.follow(id, after, signal)
  }

  async diff(id: RunId): Promise<RunDiff> {
    const { blobs } = this.#parts
    const captured = (await this.#past(id)).findLast((event) => event.type === 'workspace.captured')
    if (!captured) {
      const run = await this.get(id)
      throw run.state === 'finished'
        ? new ForgeError('not_found', `run ${id} brought no work back: ${run.reason ?? run.outcome}`)
        : new ForgeError('conflict', `run ${id} is still ${run.state}`, {
            hint: `forge events ${id} --follow`,
          })
    }
    const { changes, ...rest } = captured.data
    const files = changes
      ? FileChange.array().parse(JSON.parse(await this.#text(await blobs.open(changes))))
      : []
    return { run: id, ...rest, files }
  }

  async #text({ stream, bytes }: { stream: AsyncIterable<Buffer>; bytes: number }): Promise<string> {
    if (bytes > maxChanges) throw new ForgeError('too_large', 'the list of changed files is too long to show')
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk)
    return Buffer.concat(chunks).toString('utf8')
  }

  /** Every stored event of a run. */
  async #past(id: RunId): Promise<Event[]> {
    const past: Event[] = []
    for (;;) {
      const page = await this.#parts.ledger.read(id, { after: past.at(-1)?.seq ?? 0, limit: pageSize })
      past.push(...page)
      if (page.length < pageSize) return past
    }
  }

  /** Once at start: goes on with every run that an earlier server did not finish. */
  async resume(unfinished: readonly Run[]): Promise<void> {
    const { runs } = this.#parts
    for (const run of unfinished) {
      const past = await this.#past(run.id)
      const last = past.at(-1)
      if (last?.type === 'run.finished') {
        const { outcome, turns, tokens, cost, diff, summary, reason } = last.data
        await runs.finish(run.id, outcome, { turns, tokens, cost, diff, summary, reason })
        continue
      }
      const spec = await runs.spec(run.id)
      const job = this.#start({ run, spec, actor: past[0]?.actor ?? 'server', credentials: undefined, past })
      const cancelled = await runs.cancelRequested(run.id)
      if (cancelled) job.controller.abort(cancelReason(cancelled, job.actor))
    }
  }

  /** Stops working on every run without ending any: the next server takes them up. */
  async close(): Promise<void> {
    this.#stopping = true
    const under = [...this.#active.values()]
    for (const { job } of under) job.controller.abort(serverStops)
    await Promise.all(under.map(({ done }) => done))
  }
}
