import type { ToolCall } from '#core/model/message.ts'
import { callWasCancelled, callWasInterrupted, malformedCall, noSuchTool } from './follow-up.ts'
import type { PendingCall } from './history.ts'
import { assertGoesOn, untilAborted } from './interruption.ts'
import type { Session } from './session.ts'
import { oneLine } from './tools/output.ts'
import { toolNamed, tools } from './tools/registry.ts'
import { type ToolOutcome, toolError } from './tools/tool.ts'

/** How long a call that was told to stop may take to do so: the wire kills after 2 s. */
const graceMs = 3000

const maxSideBySide = 8

/** Runs the calls of the last answer that have no result yet. Every call that starts is also finished in the ledger. */
export async function runCalls(session: Session): Promise<void> {
  for (const group of groups(session.history.pendingCalls)) {
    const ended = await Promise.allSettled(group.map((pending) => runCall(session, pending)))
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

/** Calls that the server had started when it stopped are finished in the ledger, and not run again. */
export async function finishInterrupted(session: Session): Promise<void> {
  for (const { call, started } of session.history.pendingCalls)
    if (started) await finish(session, call, { ...toolError('interrupted', callWasInterrupted()), ms: 0 })
}

/** Neighbours that only read share a group; every other call is one by itself. */
function groups(pending: readonly PendingCall[]): PendingCall[][] {
  const result: PendingCall[][] = []
  let reading: PendingCall[] | undefined
  for (const one of pending) {
    const readOnly = toolNamed(one.call.name)?.readOnly === true
    if (readOnly && reading !== undefined && reading.length < maxSideBySide) reading.push(one)
    else {
      const group = [one]
      result.push(group)
      reading = readOnly ? group : undefined
    }
  }
  return result
}

async function runCall(session: Session, pending: PendingCall): Promise<void> {
  assertGoesOn(session.signal)
  const { call } = pending
  const { turn } = session.history
  const { clock } = session.options
  await session.record({
    actor: 'agent',
    type: 'tool.started',
    data: { call: call.id, turn, name: call.name, input: call.input },
  })
  const began = clock.now()
  try {
    const outcome = await perform(session, pending)
    await finish(session, call, { ...outcome, ms: clock.now() - began })
  } catch (thrown) {
    const interrupted = toolError('interrupted', callWasCancelled())
    await finish(session, call, { ...interrupted, ms: clock.now() - began })
    throw thrown
  }
}

async function perform(session: Session, { call, place }: PendingCall): Promise<ToolOutcome> {
  const { signal, history, options, remaining } = session
  const tool = toolNamed(call.name)
  if (tool === undefined) {
    const known = tools.map(({ definition }) => definition.name)
    return toolError(`no such tool: ${oneLine(call.name, 60)}`, noSuchTool(call.name, known))
  }
  if (call.input === null)
    return toolError('malformed arguments', malformedCall(call, history.stop === 'max_tokens'))
  const context = {
    wire: options.wire,
    workdir: options.workdir,
    signal,
    keep: session.outputFile(`${history.turn}-${place}`),
    remaining,
  }
  return await untilAborted(tool.run(call.input, context), signal, graceMs)
}

async function finish(session: Session, call: ToolCall, outcome: ToolOutcome & { ms: number }) {
  await session.record({
    actor: 'sandbox',
    type: 'tool.finished',
    data: { call: call.id, turn: session.history.turn, name: call.name, ...outcome },
  })
}
