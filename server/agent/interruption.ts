import { ForgeError } from '#core/errors.ts'

/** Why a run was aborted, as an error. */
function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new ForgeError('interrupted', 'the run was stopped')
}

/** Throws the reason of the abort. */
export function assertGoesOn(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal)
}

/**
 * Waits for the promise; once the signal aborts only `graceMs` longer. Throws the reason of the abort; what
 * becomes of the promise after that is nobody's concern.
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, graceMs = 0): Promise<T> {
  promise.catch(() => undefined)
  let timer: NodeJS.Timeout | undefined
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      timer = setTimeout(() => reject(abortError(signal)), graceMs)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
