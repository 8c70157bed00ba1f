import { finishInterrupted, runCalls } from './calls.ts'
import { runCheck } from './check.ts'
import type { AgentOptions } from './options.ts'
import { type AgentResult, resultOf, resultOfError } from './result.ts'
import { openSession, type Session } from './session.ts'
import { takeTurn } from './turn.ts'

const maxEmptyAnswers = 3

/**
 * Lets the model work on the task until it is done or a limit ends it. Rejects only with bugs, and when the
 * ledger cannot be written. `agent.*` and `run.*` events are the caller's.
 */
export async function runAgent(options: AgentOptions): Promise<AgentResult> {
  const session = openSession(options)
  try {
    if (session.history.isEmpty)
      await session.record({ actor: options.actor, type: 'message.user', data: { text: options.prompt } })
    await finishInterrupted(session)
    for (;;) {
      const result = await step(session)
      if (result !== null) return result
    }
  } catch (thrown) {
    return resultOfError(session, thrown)
  } finally {
    session.close()
  }
}

/** The next thing to do follows from the conversation alone, so it does not matter whether it was rebuilt. */
async function step(session: Session): Promise<AgentResult | null> {
  const { history, options } = session
  if (history.pendingCalls.length > 0) await runCalls(session)
  else if (history.ended) return await conclude(session)
  else if (history.emptyAnswers >= maxEmptyAnswers)
    return resultOf(session, {
      outcome: 'failed',
      reason: `the model gave ${maxEmptyAnswers} empty answers, one after the other`,
    })
  else if (history.turn >= options.limits.maxTurns) return turnsSpent(session)
  else await takeTurn(session)
  return null
}

function turnsSpent(session: Session): AgentResult {
  const { maxTurns } = session.options.limits
  const spent = `${maxTurns} turns are spent, the most that this run may take`
  return session.history.checks.at(-1)?.passed === false
    ? resultOf(session, { outcome: 'check_failed', reason: `the check did not pass, and ${spent}` })
    : resultOf(session, { outcome: 'turns_spent', reason: spent })
}

/** The model has nothing more to do: either that is so, or null and it goes on. */
async function conclude(session: Session): Promise<AgentResult | null> {
  const { history, options } = session
  if (history.stop === 'refusal')
    return resultOf(session, { outcome: 'failed', reason: 'the model refused the task' })
  const gaveUp = /^FAILED: *(\S.*)$/.exec(history.lastText?.split('\n').at(-1)?.trim() ?? '')?.[1]
  if (gaveUp !== undefined) return resultOf(session, { outcome: 'failed', reason: gaveUp })
  if (options.check === undefined) return resultOf(session, { outcome: 'done' })
  const last = history.checks.at(-1)
  if (last === undefined || history.workSinceCheck) await runCheck(session, options.check)
  else if (!last.passed)
    return resultOf(session, {
      outcome: 'check_failed',
      reason: 'the check did not pass, and the agent ended without another change',
    })
  return history.checks.at(-1)?.passed === true ? resultOf(session, { outcome: 'done' }) : null
}
