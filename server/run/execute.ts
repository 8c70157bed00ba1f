import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { outcomeOf } from '#core/run/outcome.ts'
import type { RunOutcome } from '#core/run/run.ts'
import { runAgent } from '../agent/loop.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import type { Prepared } from '../workspace/workspace.ts'
import { captureWork } from './capture.ts'
import { type AgentEnding, finish } from './finish.ts'
import type { Job, RunParts } from './job.ts'
import { endingOf, serverStops } from './outcome.ts'
import { allowOf, lastOf, obtainSandbox, obtainWorkspace } from './prepare.ts'
import { moveTo } from './state.ts'

/** How far a run has come: what an ending has to clear up. */
interface Progress {
  sandbox: SandboxId | null
  place: { readonly wire: Wire; readonly prepared: Prepared } | null
}

/** Outcomes that leave no sandbox to take work from. */
const worklessOutcomes: ReadonlySet<RunOutcome> = new Set(['sandbox_lost', 'provider_unavailable'])

/** Runs one job to its `run.finished`. Throws only when the ledger cannot be written; the next start then goes on. */
export async function executeRun(job: Job, parts: RunParts): Promise<void> {
  const progress: Progress = { sandbox: null, place: null }
  const deadline = Date.parse(job.run.createdAt) + job.spec.limits.timeout * 1000
  const timer = stopAt(job, deadline - parts.now())
  const ending = await work(job, parts, { progress, deadline })
    .catch((thrown: unknown) => endingFrom(job, parts, thrown))
    .finally(() => clearTimeout(timer))
  if (job.controller.signal.reason === serverStops) return
  if (!lastOf(job, 'agent.finished'))
    await job.record({ actor: 'server', type: 'agent.finished', data: ending })
  const before = lastOf(job, 'workspace.captured')?.data ?? null
  const takes = before === null && progress.place !== null && !worklessOutcomes.has(ending.outcome)
  const captured = takes && progress.place ? await captureWork(job, parts, progress.place) : before
  const sandbox = progress.sandbox ?? lastSandbox(job)
  if (captured instanceof ForgeError)
    await finish(job, parts, { ending: withoutWork(ending, captured), captured: null, sandbox })
  else await finish(job, parts, { ending, captured, sandbox })
}

/** Work that nobody can take is not done. */
const withoutWork = (ending: AgentEnding, error: ForgeError): AgentEnding =>
  ending.outcome !== 'done'
    ? ending
    : {
        ...ending,
        outcome: outcomeOf(error.code) ?? 'failed',
        reason: `the work could not be brought out: ${error.message}`,
        error: error.toShape(),
      }

const lastSandbox = (job: Job): SandboxId | null => lastOf(job, 'sandbox.ready')?.data.sandbox ?? null

/** setTimeout holds at most 2^31 - 1 ms: 24.8 days, more than the longest timeout that a run may have. */
const stopAt = (job: Job, ms: number): NodeJS.Timeout =>
  setTimeout(
    () => {
      job.controller.abort(new ForgeError('timed_out', `the run's ${job.spec.limits.timeout} s are over`))
    },
    Math.max(0, ms),
  )

function endingFrom(job: Job, parts: RunParts, thrown: unknown): AgentEnding {
  if (thrown instanceof ForgeError && thrown.code === 'store_unavailable') throw thrown
  const ending = endingOf(thrown, job.controller.signal)
  if (ending.outcome === 'internal') parts.log.error({ err: thrown, run: job.run.id }, 'a run met a bug')
  return { ...ending, turns: job.run.turns }
}

async function work(
  job: Job,
  parts: RunParts,
  { progress, deadline }: { progress: Progress; deadline: number },
): Promise<AgentEnding> {
  const over = lastOf(job, 'agent.finished')
  if (over && (lastOf(job, 'workspace.captured') || worklessOutcomes.has(over.data.outcome))) return over.data
  const model = await parts.resolveModel(job.run.model, job.credentials)
  progress.sandbox = await obtainSandbox(job, parts)
  const wire = parts.sandboxes.steadyWire(progress.sandbox)
  const { workspace, instructions, history } = await obtainWorkspace(job, parts, wire)
  progress.place = { wire, prepared: workspace }
  if (over) return over.data
  await moveTo(job, parts, 'running')
  return await runAgent({
    model,
    wire,
    workdir: workspace.path,
    prompt: job.spec.prompt,
    actor: job.actor,
    record: job.record,
    meter: job.meter,
    limits: job.spec.limits,
    maxOutputTokens: job.config.model.maxOutputTokens,
    check: job.spec.check,
    history,
    instructions,
    allow: allowOf(job),
    signal: job.controller.signal,
    deadline,
    clock: { now: parts.now },
  })
}
