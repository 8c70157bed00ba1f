import type { RunState } from '#core/run/run.ts'
import type { Job, RunParts } from './job.ts'

/** Records the move, then makes it: after a crash in between the row is brought up to the ledger. */
export async function moveTo(job: Job, parts: RunParts, to: Exclude<RunState, 'finished'>): Promise<void> {
  const { state: from } = await parts.runs.get(job.run.id)
  if (from === to) return
  await job.record({ actor: 'server', type: 'run.state', data: { from, to } })
  await parts.runs.setState(job.run.id, { from, to })
}
