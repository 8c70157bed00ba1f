import { setTimeout as sleep } from 'node:timers/promises'
import { DrizzleQueryError } from 'drizzle-orm/errors'
import postgres from 'postgres'
import { ForgeError } from '#core/errors.ts'

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

/** The driver's error: drizzle wraps it. */
const driverError = (error: unknown): unknown =>
  error instanceof DrizzleQueryError && error.cause !== undefined ? error.cause : error

const codeOf = (thrown: unknown): string => {
  const error = driverError(thrown)
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/**
 * Class 08 is a broken connection, 57P a server that is stopping or starting, 53300 one that has no connection left.
 * 28 (refused), 3D (no such database) are what a wrong DATABASE_URL gives.
 */
const unavailable = (code: string) =>
  connectionCodes.has(code) || /^(08|57P|53300|28|3D)/.test(code) || code === '58030'

/** Whether the same statement may succeed on a new connection. */
const isConnectionLoss = (error: unknown): boolean =>
  connectionCodes.has(codeOf(error)) || /^(08|57P|53300)/.test(codeOf(error))

/** Words what the driver threw: `store_unavailable`, `disk_full`, or `internal` for anything else. */
export function storeError(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error
  const code = codeOf(error)
  const driver = driverError(error)
  const message = driver instanceof Error ? driver.message : String(driver)
  if (code === '53100' || code === 'ENOSPC')
    return new ForgeError('disk_full', `the database's disk is full: ${message}`, {
      hint: 'free some space and try again',
      cause: error,
    })
  if (unavailable(code))
    return new ForgeError('store_unavailable', `the database does not answer: ${message}`, { cause: error })
  return new ForgeError('internal', `the database refused a statement: ${message}`, { cause: error })
}

/** The same result, or what `storeError` makes of the failure. */
export const worded = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw storeError(error)
  })

/** The name of the unique constraint that an insert violated, or null. */
export const violatedConstraint = (thrown: unknown): string | null => {
  const error = driverError(thrown)
  return error instanceof postgres.PostgresError && error.code === '23505'
    ? (error.constraint_name ?? '')
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
