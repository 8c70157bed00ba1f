import { ForgeError } from '#core/errors.ts'
import type { EventOf, EventType } from '#core/event/event.ts'
import type { SandboxId } from '#core/id.ts'
import type { Sandbox } from '#core/sandbox/sandbox.ts'
import { SandboxSpec } from '#core/sandbox/sandbox.ts'
import type { History } from '../agent/history.ts'
import { rebuildHistory } from '../agent/history.ts'
import { type Instructions, readInstructions } from '../agent/instructions.ts'
import type { Attachment } from '../sandbox/attachment.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import type { Prepared } from '../workspace/workspace.ts'
import type { Job, RunParts } from './job.ts'
import { repositoryHost } from './repository-host.ts'
import { moveTo } from './state.ts'

export const lastOf = <T extends EventType>(job: Job, type: T): EventOf<T> | undefined =>
  job.past.findLast((event): event is EventOf<T> => event.type === type)

/** Everything that this run's sandbox may reach. */
export const allowOf = (job: Job): string[] => [
  ...job.config.egress.allow,
  ...repositoryHost(job.spec.source),
  ...job.spec.allow,
]

const attachmentOf = (job: Job, parts: RunParts) => (): Attachment =>
  parts.attach({
    config: job.config,
    allow: allowOf(job),
    credentials: job.credentials,
    meter: job.meter,
    record: job.record,
    pricedOnly: job.spec.limits.maxCost !== undefined,
  })

/** A new sandbox, or after a crash the one that the run's work is in. Throws `sandbox_lost` when that one is gone. */
export async function obtainSandbox(job: Job, parts: RunParts): Promise<SandboxId> {
  const attachment: (sandbox: Sandbox) => Attachment = attachmentOf(job, parts)
  const worked = lastOf(job, 'workspace.prepared') && lastOf(job, 'sandbox.ready')
  if (worked) {
    const { id } = await parts.sandboxes.adopt(worked.data.sandbox, attachment)
    await job.record({
      actor: 'server',
      type: 'run.resumed',
      data: { reason: 'taken up again after the server or its store was away' },
    })
    watchFor(job, parts, id)
    return id
  }
  await discard(job, parts)
  await moveTo(job, parts, 'preparing')
  const started = parts.now()
  const sandbox = await parts.sandboxes.acquire({
    spec: SandboxSpec.parse({ provider: job.spec.provider, limits: job.config.sandbox.limits }),
    run: job.run.id,
    attachment,
    signal: job.controller.signal,
  })
  await parts.runs.update(job.run.id, { sandbox: sandbox.id, provider: sandbox.provider })
  watchFor(job, parts, sandbox.id)
  const data = { sandbox: sandbox.id, provider: sandbox.provider, ms: parts.now() - started }
  await job.record({ actor: 'server', type: 'sandbox.ready', data })
  return sandbox.id
}

/** A sandbox that an earlier server had begun to prepare: nothing in it is worth keeping. */
async function discard(job: Job, parts: RunParts): Promise<void> {
  const { sandbox } = job.run
  if (sandbox === null) return
  await parts.sandboxes.destroy(sandbox)
  await job.record({ actor: 'server', type: 'sandbox.destroyed', data: { sandbox } })
}

/** A sandbox that ends by itself stops the run at once, whatever the run is waiting for. */
function watchFor(job: Job, parts: RunParts, id: SandboxId): void {
  void parts.sandboxes.lost(id).then(async (reason) => {
    if (job.controller.signal.aborted) return
    job.controller.abort(new ForgeError('sandbox_lost', `the sandbox is gone: ${reason}`))
    await job
      .record({ actor: 'server', type: 'sandbox.lost', data: { sandbox: id, reason } })
      .catch(() => undefined)
  })
}

interface Workspace {
  readonly workspace: Prepared
  readonly instructions: Instructions
  readonly history: History
}

export async function obtainWorkspace(job: Job, parts: RunParts, wire: Wire): Promise<Workspace> {
  const before = lastOf(job, 'workspace.prepared')
  const history = rebuildHistory(job.past)
  const started = parts.now()
  const workspace = before
    ? { ...before.data }
    : await parts.workspaces.prepare(wire, job.spec.source, {
        branch: branchOf(job),
        signal: job.controller.signal,
      })
  const instructions = await readInstructions(wire, workspace.path, job.controller.signal)
  if (before) return { workspace, instructions, history }
  await job.record({
    actor: 'server',
    type: 'workspace.prepared',
    data: {
      ...workspace,
      ms: parts.now() - started,
      instructions: instructions.files.map((file) => file.path),
    },
  })
  return { workspace, instructions, history }
}

/** Where the work of a run goes. */
export const branchOf = (job: Job): string => `forge/${job.run.id}`
