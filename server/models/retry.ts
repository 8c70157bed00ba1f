import { setTimeout as sleepFor } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { type FailureContext, failureOf } from './failure.ts'
import type { ModelChunk } from './provider.ts'

export interface RetryPolicy {
  /** Attempts in all. */
  readonly attempts: number
  /** The first delay in milliseconds; it doubles with every further attempt. */
  readonly baseMs: number
  readonly maxMs: number
  /** The longest wait that an API's `retry-after` gets. */
  readonly maxRetryAfterMs: number
  /** 0 to 1. */
  readonly random: () => number
  /** Rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 6,
  baseMs: 500,
  maxMs: 16_000,
  maxRetryAfterMs: 60_000,
  random: Math.random,
  sleep: (ms, signal) => sleepFor(ms, undefined, { signal }),
}

/** Half of the exponential step is fixed, half is jitter, so that clients that failed together do not return together. */
export function delayBefore(attempt: number, retryAfterMs: number | null, policy: RetryPolicy): number {
  const step = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1))
  const backOff = Math.round((step / 2) * (1 + policy.random()))
  return retryAfterMs === null ? backOff : Math.max(backOff, Math.min(retryAfterMs, policy.maxRetryAfterMs))
}

interface Attempting {
  /** One try. Ends after its `finished` chunk, or throws. */
  readonly attempt: () => AsyncIterable<ModelChunk>
  readonly policy: RetryPolicy
  readonly context: FailureContext
  readonly signal: AbortSignal
}

const interrupted = (): ForgeError => new ForgeError('interrupted', 'the request to the model was cancelled')

/** Tries until an attempt finishes. Throws the last attempt's error, or `interrupted` as soon as the signal aborts. */
export async function* withRetries({
  attempt,
  policy,
  context,
  signal,
}: Attempting): AsyncGenerator<ModelChunk> {
  for (let number = 1; ; number++) {
    if (signal.aborted) throw interrupted()
    try {
      yield* attempt()
      return
    } catch (thrown) {
      if (signal.aborted) throw interrupted()
      const failure = failureOf(thrown, context)
      const attempts = Math.min(policy.attempts, failure.atMost ?? policy.attempts)
      if (!failure.retryable || number >= attempts) throw failure.error
      const delayMs = delayBefore(number, failure.retryAfterMs, policy)
      yield { kind: 'retry', attempt: number, delayMs, status: failure.status, reason: failure.reason }
      await policy.sleep(delayMs, signal).catch(() => {})
    }
  }
}

/** An answer that stopped before its end. */
export const incomplete = (): ForgeError =>
  new ForgeError('model_unavailable', 'the answer of the model was cut off')
