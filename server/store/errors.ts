import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { ForgeError } from '#core/errors.ts'

/** The URL with `***` for its password, fit for messages and logs. */
export function maskUrl(url: string): string {
  if (!URL.canParse(url)) return 'the given URL'
  const masked = new URL(url)
  if (masked.password !== '') masked.password = '***'
  for (const name of ['password', 'sslpassword', 'sslkey'])
    if (masked.searchParams.has(name)) masked.searchParams.set(name, '***')
  return masked.toString()
}

const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/**
 * Class 08 is a broken connection, 57P a server that is stopping or starting, 53300 one that has no connection left.
 * 28 (refused), 3D (no such database) are what a wrong DATABASE_URL gives.
 */
const unavailable = (code: string) =>
  connectionCodes.has(code) || /^(08|57P|53300|28|3D)/.test(code) || code === '58030'

/** Whether the same statement may succeed on a new connection. */
export const isConnectionLoss = (error: unknown): boolean =>
  connectionCodes.has(codeOf(error)) || /^(08|57P)/.test(codeOf(error))

/** Words what the driver threw: `store_unavailable`, `disk_full`, or `internal` for anything else. */
export function storeError(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (code === '53100' || code === 'ENOSPC')
    return new ForgeError('disk_full', `the database's disk is full: ${message}`, {
      hint: 'free some space and try again',
      cause: error,
    })
  if (unavailable(code))
    return new ForgeError('store_unavailable', `the database does not answer: ${message}`, { cause: error })
  return ForgeError.from(error)
}

/** The name of the unique constraint that an insert violated, or null. */
export const violatedConstraint = (error: unknown): string | null => {
  const cause = error instanceof postgres.PostgresError ? error : (error as { cause?: unknown } | null)?.cause
  return cause instanceof postgres.PostgresError && cause.code === '23505'
    ? (cause.constraint_name ?? '')
    : null
}

/**
 * Runs a statement that is safe to repeat, again after a lost connection with growing pauses, for at
 * most `patience` milliseconds. Throws what `storeError` makes of the last failure.
 */
export async function persistently<T>(
  work: () => Promise<T>,
  options: { patience: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const deadline = performance.now() + options.patience
  for (let pause = 10; ; pause = Math.min(pause * 2, 1000)) {
    try {
      return await work()
    } catch (error) {
      if (!isConnectionLoss(error) || performance.now() > deadline || options.signal?.aborted)
        throw storeError(error)
      await sleep(pause, undefined, { signal: options.signal }).catch(() => undefined)
    }
  }
}
