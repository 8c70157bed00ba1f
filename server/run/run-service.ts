import { ForgeError } from '#core/errors.ts'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { ModelCredentials, Run, RunSource, RunSpec } from '#core/run/run.ts'
import type { RunService } from '#core/run/service.ts'
import { FileChange, type RunDiff } from '#core/workspace/workspace.ts'
import { egressPolicy } from '../egress/policy.ts'
import { assertCloneUrl, withoutSecrets } from '../workspace/clone.ts'
import { ActiveRuns, allEvents } from './active-runs.ts'
import type { RunParts } from './job.ts'
import { cancelReason } from './outcome.ts'

/** A change list longer than this is not shown, in bytes. */
const maxChanges = 256 * 2 ** 20

/** A URL's credentials are for this run's clone only; they are never stored. */
const storable = (source: RunSource): RunSource =>
  source.kind === 'url' ? { ...source, url: withoutSecrets(source.url) } : source

const sourceText = (source: RunSource): string => {
  if (source.kind === 'none') return 'none'
  return source.kind === 'url' ? source.url : source.path
}

async function textOf({ stream, bytes }: { stream: AsyncIterable<Buffer>; bytes: number }): Promise<string> {
  if (bytes > maxChanges) throw new ForgeError('too_large', 'the list of changed files is too long to show')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** What the procedures do with runs. */
export class Runs implements RunService {
  readonly #parts: RunParts
  readonly #active: ActiveRuns

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#active = new ActiveRuns(parts)
  }

  /** Everything that can be refused is refused before there is a run. */
  async create(
    given: RunSpec,
    by: { actor: string; credentials?: ModelCredentials | undefined },
  ): Promise<Run> {
    this.#active.assertOpen()
    const { runs, resolveModel, sandboxes, config, assertPriced } = this.#parts
    const provider = given.provider === 'auto' ? config().sandbox.provider : given.provider
    const spec: RunSpec = { ...given, provider }
    sandboxes.assertProvider(provider)
    egressPolicy(spec.allow)
    if (spec.source.kind === 'url') assertCloneUrl(spec.source.url)
    const model = await resolveModel(spec.model, by.credentials)
    if (spec.limits.maxCost !== undefined) assertPriced(model.id)
    const stored = { ...spec, source: storable(spec.source) }
    const source = sourceText(stored.source)
    const run = await runs.create({ spec: stored, actor: by.actor, model: model.id, provider, source })
    this.#active.start({ run, spec, actor: by.actor, credentials: by.credentials, past: [] })
    return run
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
    this.#active.abort(id, cancelReason(outcome, actor))
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
    const past = await allEvents(this.#parts, id)
    const captured = past.findLast((event) => event.type === 'workspace.captured')
    if (!captured) {
      const run = await this.get(id)
      throw run.state === 'finished'
        ? new ForgeError('not_found', `run ${id} brought no work back: ${run.reason ?? run.outcome}`)
        : new ForgeError('conflict', `run ${id} is still ${run.state}`, {
            hint: `wait for it with: forge events ${id} --follow`,
          })
    }
    const { changes, ...rest } = captured.data
    const files = changes ? FileChange.array().parse(JSON.parse(await textOf(await blobs.open(changes)))) : []
    return { run: id, ...rest, files }
  }

  /** Once at start: goes on with every run that an earlier server did not finish. */
  async resume(unfinished: readonly Run[]): Promise<void> {
    const { runs } = this.#parts
    for (const run of unfinished) {
      const past = await allEvents(this.#parts, run.id)
      const actor = past[0]?.actor ?? 'server'
      this.#active.start({ run, spec: await runs.spec(run.id), actor, credentials: undefined, past })
      const cancelled = await runs.cancelRequested(run.id)
      if (cancelled) this.#active.abort(run.id, cancelReason(cancelled, actor))
    }
  }

  /** Stops working on every run without ending any: the next server takes them up. */
  close(): Promise<void> {
    return this.#active.close()
  }
}
