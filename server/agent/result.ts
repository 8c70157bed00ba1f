import { z } from 'zod'
import type { ErrorShape } from '#core/errors.ts'
import { ForgeError } from '#core/errors.ts'
import type { EventData } from '#core/event/event.ts'
import { outcomeOf } from '#core/run/outcome.ts'
import { RunOutcome } from '#core/run/run.ts'
import type { Session } from './session.ts'
import { oneLine } from './tools/output.ts'

export interface AgentResult {
  readonly outcome: RunOutcome
  /** The model's last words. */
  readonly summary: string | null
  /** Why it is not `done`, in a sentence. */
  readonly reason: string | null
  readonly error?: ErrorShape
  readonly turns: number
  /** The last check that ran; null when none did. */
  readonly check: EventData<'run.finished'>['check']
}

interface End {
  readonly outcome: RunOutcome
  readonly reason?: string
  readonly error?: ForgeError
}

export function resultOf({ history }: Session, { outcome, reason, error }: End): AgentResult {
  const check = history.checks.at(-1)
  return {
    outcome,
    summary: history.lastText,
    reason: reason === undefined ? null : oneLine(reason, 1000),
    ...(error === undefined ? {} : { error: error.toShape() }),
    turns: history.turn,
    check:
      check === undefined ? null : { command: check.command, exitCode: check.exitCode, passed: check.passed },
  }
}

/** An error that knows the outcome it stands for. */
const Outspoken = z.object({ outcome: RunOutcome, message: z.string() })

/**
 * The result of a loop that was ended by an error; after an abort only its reason counts. Throws what says
 * nothing about the run: bugs, and a ledger that cannot be written.
 */
export function resultOfError(session: Session, thrown: unknown): AgentResult {
  const { signal, history } = session
  const cause: unknown = signal.aborted ? signal.reason : thrown
  const outspoken = Outspoken.safeParse(cause)
  if (outspoken.success)
    return resultOf(session, { outcome: outspoken.data.outcome, reason: outspoken.data.message })
  if (signal.aborted && !(cause instanceof ForgeError))
    return resultOf(session, { outcome: 'cancelled', reason: 'the run was cancelled' })
  const outcome = cause instanceof ForgeError ? outcomeOf(cause.code) : undefined
  if (outcome === undefined || !(cause instanceof ForgeError) || session.isUnwritten(cause)) throw thrown
  if (outcome === 'budget_spent' && history.checks.at(-1)?.passed === false)
    return resultOf(session, {
      outcome: 'check_failed',
      reason: `the check did not pass, and the budget is spent: ${cause.message}`,
      error: cause,
    })
  return resultOf(session, { outcome, reason: cause.message, error: cause })
}
