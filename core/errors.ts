import { z } from 'zod'

/** One row of the error table. `exit` is the CLI's exit code, `http` the status of the HTTP faces. */
interface ErrorRow {
  readonly meaning: string
  readonly retryable: boolean
  readonly exit: number
  readonly http: number
}

const row = (exit: number, http: number, retryable: boolean, meaning: string): ErrorRow => ({
  meaning,
  retryable,
  exit,
  http,
})

/** The closed table of everything that can go wrong on purpose. Anything else is a bug and becomes `internal`. */
export const errorTable = {
  usage: row(2, 400, false, 'the command line is not valid'),
  invalid_input: row(2, 400, false, 'a value is malformed or out of range'),
  config_invalid: row(3, 500, false, 'the configuration cannot be used'),
  not_found: row(1, 404, false, 'there is no such thing'),
  conflict: row(1, 409, false, 'something else is in the way'),
  illegal_move: row(1, 409, false, 'the present state does not allow that'),
  too_large: row(1, 413, false, 'larger than the limit'),
  repository_invalid: row(1, 422, false, 'the repository cannot be read'),
  apply_conflict: row(1, 409, false, 'applying would overwrite changes'),
  server_unreachable: row(1, 503, true, 'the server does not answer'),
  server_locked: row(1, 409, false, 'another server uses this data directory'),
  store_unavailable: row(1, 503, true, 'the database does not answer'),
  disk_full: row(1, 507, true, 'no space is left'),
  provider_unavailable: row(4, 503, true, 'the sandbox provider cannot be used'),
  model_unavailable: row(4, 503, true, 'the model does not answer'),
  model_rejected: row(4, 502, false, 'the model provider refused the request'),
  task_failed: row(5, 422, false, 'the task was not done'),
  check_failed: row(5, 422, false, 'the check did not pass'),
  internal: row(6, 500, false, 'a bug in Forge'),
  denied: row(7, 403, false, 'not allowed'),
  approval_needed: row(7, 403, false, 'an approval is needed and nobody can give it'),
  egress_denied: row(7, 403, false, 'the egress policy does not allow this host'),
  budget_spent: row(8, 402, false, 'the budget is spent'),
  sandbox_lost: row(9, 410, false, 'the sandbox is gone'),
  wire_lost: row(9, 503, true, 'the connection into the sandbox broke'),
  timed_out: row(124, 504, true, 'the time limit was reached'),
  interrupted: row(130, 499, true, 'interrupted'),
  terminated: row(143, 499, true, 'terminated'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable
const errorCodes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]
// Pure calls: a bundle that only throws ForgeError does without zod, which the client's quick start needs.
const ErrorCodeSchema = /* @__PURE__ */ z.enum(errorCodes)

/** What crosses the wire for an error. `message` says what happened, `hint` what to do next. */
export const ErrorShape = /* @__PURE__ */ (() =>
  z.object({
    code: ErrorCodeSchema,
    message: z.string(),
    hint: z.string().optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  }))()
export type ErrorShape = z.infer<typeof ErrorShape>

interface ForgeErrorOptions {
  readonly hint?: string
  readonly data?: Record<string, unknown>
  readonly cause?: unknown
}

/** The only error thrown on purpose. */
export class ForgeError extends Error {
  override readonly name = 'ForgeError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly data: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, options: ForgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.data = options.data
  }

  get row(): ErrorRow {
    return errorTable[this.code]
  }

  toShape(): ErrorShape {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.data === undefined ? {} : { data: this.data }),
    }
  }

  static fromShape(shape: ErrorShape): ForgeError {
    return new ForgeError(shape.code, shape.message, { hint: shape.hint, data: shape.data })
  }

  /** Turns whatever was thrown into a ForgeError; what is not one already is `internal`. */
  static from(thrown: unknown): ForgeError {
    if (thrown instanceof ForgeError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new ForgeError('internal', message, { cause: thrown })
  }
}
