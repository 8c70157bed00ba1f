import { EventEmitter, on } from 'node:events'
import { ForgeError } from '#core/errors.ts'
import type { Event, EventDraft } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { noTokens, type Run, type RunSpec } from '#core/run/run.ts'
import type { RunService } from '#core/run/service.ts'
import type { StreamItem } from '#core/stream.ts'
import type { RunDiff } from '#core/workspace/workspace.ts'

type By = Parameters<RunService['create']>[1]

/** Runs whose events a test writes. */
export class MemoryRuns implements RunService {
  readonly runs: Run[] = []
  readonly created: { spec: RunSpec; by: By }[] = []
  readonly cancelled: { id: RunId; outcome: string }[] = []
  readonly diffs = new Map<RunId, RunDiff>()
  /** What happens when a run is created or cancelled. */
  onCreate: (run: Run) => void = () => {}
  onCancel: (id: RunId, outcome: 'cancelled' | 'interrupted' | 'terminated') => void = () => {}
  readonly #events = new Map<RunId, Event[]>()
  readonly #changes = new EventEmitter().setMaxListeners(0)

  async create(spec: RunSpec, by: By): Promise<Run> {
    const run: Run = {
      id: `run_${String(this.runs.length).padStart(10, '0')}` as RunId,
      state: 'queued',
      outcome: null,
      prompt: spec.prompt,
      model: spec.model ?? 'demo/scripted',
      provider: spec.provider,
      sandbox: null,
      source: spec.source.kind,
      check: spec.check ?? null,
      limits: spec.limits,
      turns: 0,
      tokens: noTokens,
      cost: 0,
      diff: null,
      summary: null,
      reason: null,
      createdAt: '2026-01-02T03:04:05.000Z',
      finishedAt: null,
      lastSeq: 0,
    }
    this.created.push({ spec, by })
    this.runs.unshift(run)
    this.#events.set(run.id, [])
    this.append(run.id, {
      actor: by.actor,
      type: 'run.created',
      data: { spec, model: run.model, provider: run.provider, source: run.source },
    })
    this.onCreate(run)
    return run
  }

  append(id: RunId, ...drafts: EventDraft[]): void {
    const events = this.#events.get(id) ?? []
    for (const draft of drafts)
      events.push({ run: id, seq: events.length + 1, at: '2026-01-02T03:04:05.000Z', ...draft } as Event)
    this.#changes.emit(id)
  }

  async list(limit: number): Promise<Run[]> {
    return this.runs.slice(0, limit)
  }

  async get(ref: string): Promise<Run> {
    const found = ref === 'last' ? this.runs[0] : this.runs.find(({ id }) => id.startsWith(ref))
    if (!found)
      throw new ForgeError('not_found', `there is no run ${ref}`, { hint: 'forge runs ls lists them' })
    return found
  }

  async cancel(id: RunId, reason: { outcome: 'cancelled' | 'interrupted' | 'terminated' }): Promise<void> {
    this.cancelled.push({ id, outcome: reason.outcome })
    this.onCancel(id, reason.outcome)
  }

  async events(id: RunId, range: { after: number; limit: number }): Promise<Event[]> {
    return (this.#events.get(id) ?? []).filter(({ seq }) => seq > range.after).slice(0, range.limit)
  }

  async *follow(id: RunId, after: number, signal: AbortSignal): AsyncGenerator<StreamItem<Event>> {
    const changes = on(this.#changes, id, { signal })
    let last = after
    const news = () => (this.#events.get(id) ?? []).filter(({ seq }) => seq > last)
    const given = function* (events: Event[]): Generator<StreamItem<Event>> {
      for (const item of events) {
        last = item.seq
        yield { kind: 'item', item }
      }
    }
    const finished = () => this.#events.get(id)?.at(-1)?.type === 'run.finished'
    yield* given(news())
    yield { kind: 'caught-up', after: last }
    if (finished()) return
    for await (const _change of changes) {
      yield* given(news())
      if (finished()) return
    }
  }

  async diff(id: RunId): Promise<RunDiff> {
    const diff = this.diffs.get(id)
    if (!diff) throw new ForgeError('conflict', `${id} has no work to show yet`)
    return diff
  }
}
