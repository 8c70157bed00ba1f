import type { EventData } from '#core/event/event.ts'
import type { SandboxId } from '#core/id.ts'
import { outcomeExit, type RunOutcome } from '#core/run/run.ts'
import type { CapturedData } from './capture.ts'
import type { Job, RunParts } from './job.ts'
import { branchOf } from './prepare.ts'

export type AgentEnding = EventData<'agent.finished'>

/** Whether the sandbox stays, by the `sandbox.keep` setting. */
const keeps = (keep: 'never' | 'failed' | 'always', outcome: RunOutcome): boolean =>
  keep === 'always' || (keep === 'failed' && outcome !== 'done')

interface Finish {
  readonly ending: AgentEnding
  readonly captured: CapturedData | null
  readonly sandbox: SandboxId | null
}

/** Clears up, then writes the run's last event. */
export async function finish(
  job: Job,
  parts: RunParts,
  { ending, captured, sandbox }: Finish,
): Promise<void> {
  if (sandbox && !keeps(job.config.sandbox.keep, ending.outcome)) {
    await parts.sandboxes.destroy(sandbox)
    await job.record({ actor: 'server', type: 'sandbox.destroyed', data: { sandbox } })
  }
  await parts.workspaces.forget(branchOf(job))
  const finished: EventData<'run.finished'> = {
    ...ending,
    exitCode: outcomeExit[ending.outcome],
    tokens: job.meter.tokens,
    cost: job.meter.cost,
    diff: captured?.stat ?? null,
    ms: parts.now() - Date.parse(job.run.createdAt),
  }
  await job.record({ actor: 'server', type: 'run.finished', data: finished })
}
