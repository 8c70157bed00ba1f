import { ForgeError } from '#core/errors.ts'
import type { EventData } from '#core/event/event.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import type { Prepared } from '../workspace/workspace.ts'
import type { Job, RunParts } from './job.ts'

/** How long bringing the work out may take, in milliseconds; it has its own limit so that a stopped run keeps its work. */
const captureTimeout = 600_000

export type CapturedData = EventData<'workspace.captured'>

/** Brings the work out of the sandbox. What goes wrong becomes a warning in the ledger, and the error. */
export async function captureWork(
  job: Job,
  parts: RunParts,
  { wire, prepared }: { wire: Wire; prepared: Prepared },
): Promise<CapturedData | ForgeError> {
  try {
    const message = job.spec.prompt.split('\n', 1)[0]?.slice(0, 72) || 'Work of a Forge run'
    const captured = await parts.workspaces.capture(wire, prepared, {
      message: `${message}\n\nForge-Run: ${job.run.id}`,
      signal: AbortSignal.timeout(captureTimeout),
    })
    const { tip, stat, bundle, patch, files, warnings } = captured
    for (const message of warnings)
      await job.record({ actor: 'server', type: 'run.warning', data: { message } })
    const changes =
      files.length === 0 ? null : (await parts.blobs.put(Buffer.from(JSON.stringify(files)))).digest
    const { branch, start, head } = prepared
    const data: CapturedData = { branch, start, tip, head, stat, bundle, patch, changes }
    await job.record({ actor: 'server', type: 'workspace.captured', data })
    return data
  } catch (thrown) {
    const error = ForgeError.from(thrown)
    parts.log.error({ err: thrown, run: job.run.id }, 'the work could not be brought out')
    const data = {
      message: `the work could not be brought out: ${error.message}`,
      ...(error.hint ? { hint: error.hint } : {}),
    }
    await job.record({ actor: 'server', type: 'run.warning', data })
    return error
  }
}
