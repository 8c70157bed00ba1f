import { ForgeError } from '#core/errors.ts'

/** Why one attempt failed, and whether another one makes sense. */
interface Failure {
  readonly retryable: boolean
  readonly status: number | null
  /** One line, without secrets. */
  readonly reason: string
  /** What the API asked for. */
  readonly retryAfterMs: number | null
  /** Attempts in all, when there should be fewer than usual. */
  readonly atMost?: number
  readonly error: ForgeError
}

/** Whom the failure is about. */
export interface FailureContext {
  readonly baseUrl: string
  /** The environment variable that holds the key. */
  readonly keyVariable: string
  /** Never shown, whatever the API echoes. */
  readonly secrets: readonly (string | undefined)[]
  readonly now: () => number
}

/** The URL as people may see it. */
export function publicUrl(url: string): string {
  if (!URL.canParse(url)) return 'an invalid URL'
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  parsed.search = ''
  parsed.hash = ''
  return parsed.href.replace(/\/$/, '')
}

export const redact = (text: string, secrets: readonly (string | undefined)[]): string =>
  secrets.reduce<string>((shown, secret) => (secret ? shown.replaceAll(secret, '[secret]') : shown), text)

/** The shape that the error classes of both SDKs share. */
interface ApiError extends Error {
  readonly status?: number
  readonly headers?: Headers
  readonly error?: unknown
}

const isApiError = (thrown: unknown): thrown is ApiError =>
  thrown instanceof Error && 'status' in thrown && 'headers' in thrown

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined

/** The API's own words for the error: `{error: {type, code, message}}`, with or without the outer layer. */
function wordsOf(error: unknown): { names: string[]; message: string | null } {
  const inner = field(error, 'error') ?? error
  const names = [field(inner, 'type'), field(inner, 'code')].filter((name) => typeof name === 'string')
  const message = field(inner, 'message')
  return { names, message: typeof message === 'string' ? message : null }
}

const causes = (thrown: unknown): unknown[] => {
  const chain: unknown[] = []
  for (let at = thrown; at !== undefined && chain.length < 8; at = field(at, 'cause')) chain.push(at)
  return chain
}

const spent = ['insufficient_quota', 'billing_hard_limit_reached', 'billing_error']
/** Names of errors that come in mid-stream and stay the same on another attempt. */
const lasting = [
  ...spent,
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'invalid_prompt',
  'context_length_exceeded',
]

function retryAfterOf(headers: Headers | undefined, now: number): number | null {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN)
  if (Number.isFinite(ms) && ms >= 0) return ms
  const value = headers?.get('retry-after')
  if (!value) return null
  const seconds = Number(value)
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

const retryableStatus = (status: number): boolean =>
  status === 408 || status === 409 || status === 429 || status >= 500

function hintOf(status: number, context: FailureContext): string {
  if (status === 401 || status === 403) return `check the key: set ${context.keyVariable}`
  if (status === 402) return 'the account has no credit left'
  if (status === 404) return `check the model's name, and that ${publicUrl(context.baseUrl)} is the right URL`
  if (status >= 300 && status < 400) return 'redirects are not followed: give the final base URL'
  return 'the request does not fit the model'
}

const clip = (text: string): string => (text.length > 500 ? `${text.slice(0, 500)}…` : text)

function refused(thrown: ApiError, status: number, context: FailureContext): Failure {
  const { names, message } = wordsOf(thrown.error)
  const said = clip(redact(message ?? thrown.message, context.secrets))
  const reason = `${status}: ${said}`
  const outOfCredit = names.some((name) => spent.includes(name))
  const retryable =
    retryableStatus(status) && !outOfCredit && thrown.headers?.get('x-should-retry') !== 'false'
  const error = retryable
    ? new ForgeError('model_unavailable', `${publicUrl(context.baseUrl)} answered ${reason}`, {
        hint: 'try again later, or take another model with --model',
        data: { status },
      })
    : new ForgeError('model_rejected', `${publicUrl(context.baseUrl)} refused the request, ${reason}`, {
        hint: hintOf(outOfCredit ? 402 : status, context),
        data: { status },
      })
  return { retryable, status, reason, retryAfterMs: retryAfterOf(thrown.headers, context.now()), error }
}

function midStream(thrown: ApiError, context: FailureContext): Failure {
  const { names, message } = wordsOf(thrown.error)
  const reason = clip(redact(`${names[0] ?? 'error'}: ${message ?? thrown.message}`, context.secrets))
  const retryable = !names.some((name) => lasting.includes(name))
  const error = new ForgeError(
    retryable ? 'model_unavailable' : 'model_rejected',
    `${publicUrl(context.baseUrl)} ended the answer with an error: ${reason}`,
  )
  return { retryable, status: null, reason, retryAfterMs: null, error }
}

const systemCode = (chain: unknown[]): string | undefined => {
  const code = chain.map((one) => field(one, 'code')).find((one) => typeof one === 'string')
  return typeof code === 'string' ? code : undefined
}

/** Nobody is there: more likely a wrong URL than a passing fault, so the answer should not take long. */
const nobodyThere = ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH']

function unreachable(chain: unknown[], context: FailureContext): Failure {
  const last = chain.findLast((one) => one instanceof Error)
  const code = systemCode(chain)
  const said = code ?? (last instanceof Error ? last.message : String(chain[0]))
  const reason = clip(redact(`connection failed: ${said}`, context.secrets))
  const error = new ForgeError('model_unavailable', `${publicUrl(context.baseUrl)}: ${reason}`, {
    hint: 'check the URL and the network; behind a proxy set HTTPS_PROXY',
  })
  const few = code !== undefined && nobodyThere.includes(code) ? { atMost: 4 } : {}
  return { retryable: true, status: null, reason, retryAfterMs: null, error, ...few }
}

/** What an attempt threw, by one rule for both SDKs. */
export function failureOf(thrown: unknown, context: FailureContext): Failure {
  const chain = causes(thrown)
  const own = chain.find((one) => one instanceof ForgeError)
  if (own)
    return {
      retryable: own.row.retryable,
      status: null,
      reason: own.message,
      retryAfterMs: null,
      error: own,
    }
  if (isApiError(thrown)) {
    if (thrown.status !== undefined) return refused(thrown, thrown.status, context)
    if (thrown.error !== undefined) return midStream(thrown, context)
    return unreachable(chain, context)
  }
  if (thrown instanceof SyntaxError) {
    const error = new ForgeError(
      'model_unavailable',
      `${publicUrl(context.baseUrl)} sent an event that is no JSON`,
    )
    return { retryable: true, status: null, reason: error.message, retryAfterMs: null, error }
  }
  if (systemCode(chain) !== undefined) return unreachable(chain, context)
  const error = ForgeError.from(thrown)
  return { retryable: false, status: null, reason: error.message, retryAfterMs: null, error }
}
