import { type ErrorCode, ForgeError } from '#core/errors.ts'
import type { RunOutcome } from '#core/run/run.ts'

const byCode: Partial<Record<ErrorCode, RunOutcome>> = {
  model_unavailable: 'model_unavailable',
  model_rejected: 'model_unavailable',
  config_invalid: 'model_unavailable',
  provider_unavailable: 'provider_unavailable',
  sandbox_lost: 'sandbox_lost',
  budget_spent: 'budget_spent',
  timed_out: 'timed_out',
  denied: 'denied',
  approval_needed: 'denied',
  interrupted: 'interrupted',
  terminated: 'terminated',
  check_failed: 'check_failed',
  internal: 'internal',
}

/** Why a run was stopped from outside; the reason that its AbortSignal carries. */
export class Stop extends Error {
  readonly outcome: RunOutcome

  constructor(outcome: RunOutcome, message: string) {
    super(message)
    this.outcome = outcome
  }
}

export interface Ending {
  readonly outcome: RunOutcome
  readonly reason: string
  readonly error?: ForgeError
}

/** The outcome of a run that threw. A stop from outside wins over whatever broke because of it. */
export function endingOf(thrown: unknown, signal: AbortSignal): Ending {
  if (signal.aborted && signal.reason instanceof Stop)
    return { outcome: signal.reason.outcome, reason: signal.reason.message }
  const error = ForgeError.from(thrown)
  return { outcome: byCode[error.code] ?? 'failed', reason: error.message, error }
}
