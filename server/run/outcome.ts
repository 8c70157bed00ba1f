import { ForgeError } from '#core/errors.ts'
import { outcomeOf } from '#core/run/outcome.ts'
import type { AgentEnding } from './finish.ts'

/** A run's abort reason when this server stops: the next one goes on with the run. */
export const serverStops = new ForgeError('server_unreachable', 'the server is stopping')

/** Why a run was cancelled by `runs.cancel`; any abort reason that is no ForgeError means `cancelled`. */
export const cancelReason = (outcome: 'cancelled' | 'interrupted' | 'terminated', actor: string): Error => {
  const message = `${outcome} by ${actor}`
  return outcome === 'cancelled' ? new Error(message) : new ForgeError(outcome, message)
}

/** The ending of a run that threw. A stop from outside wins over whatever broke because of it. */
export function endingOf(thrown: unknown, signal: AbortSignal): Omit<AgentEnding, 'turns'> {
  const ending = { summary: null, check: null }
  if (signal.aborted && signal.reason instanceof Error && !(signal.reason instanceof ForgeError))
    return { ...ending, outcome: 'cancelled', reason: signal.reason.message }
  const error = ForgeError.from(signal.aborted ? signal.reason : thrown)
  return {
    ...ending,
    outcome: outcomeOf(error.code) ?? 'internal',
    reason: error.message,
    error: error.toShape(),
  }
}
