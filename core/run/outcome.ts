import type { ErrorCode } from '../errors.ts'
import type { RunOutcome } from './run.ts'

const outcomes: Partial<Record<ErrorCode, RunOutcome>> = {
  model_unavailable: 'model_unavailable',
  model_rejected: 'model_unavailable',
  provider_unavailable: 'provider_unavailable',
  sandbox_lost: 'sandbox_lost',
  wire_lost: 'sandbox_lost',
  server_unreachable: 'server_lost',
  budget_spent: 'budget_spent',
  timed_out: 'timed_out',
  interrupted: 'interrupted',
  terminated: 'terminated',
  denied: 'denied',
  egress_denied: 'denied',
  approval_needed: 'denied',
  task_failed: 'failed',
  check_failed: 'check_failed',
  repository_invalid: 'failed',
  invalid_input: 'failed',
  too_large: 'failed',
  disk_full: 'failed',
}

/** How a run ends that is stopped by such an error; undefined for an error that says nothing about the run. */
export const outcomeOf = (code: ErrorCode): RunOutcome | undefined => outcomes[code]
