import { setTimeout as sleep } from 'node:timers/promises'
import { ErrorShape, ForgeError } from '#core/errors.ts'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { StreamItem } from '#core/stream.ts'
import { queryPath } from './call.ts'
import type { Http } from './http.ts'
import { serverSentEvents } from './sse.ts'

export interface FollowOptions {
  /** The seq of the last event that the caller has; 0 for none. */
  readonly after: number
  readonly signal: AbortSignal
  /** Makes the server answer again, where that is in our power. */
  revive(): Promise<void>
  /** Called when the stream breaks off, and once when it goes on. */
  onLink(state: 'lost' | 'back'): void
  /** How long one break may last, in milliseconds. */
  readonly patience: number
  now(): number
}

/** Silence after which the server is asked whether it lives. */
const silenceMs = 15_000
const longestDelayMs = 2000

/**
 * The events of a run after `after`, each exactly once and in order; ends after `run.finished`. A broken stream
 * is taken up again after the last event that was given. Throws `server_unreachable` when a break outlasts `patience`.
 */
export async function* followRun(http: Http, id: RunId, options: FollowOptions): AsyncGenerator<Event> {
  let last = options.after
  let brokenSince: number | undefined
  for (let delay = 50; ; delay = Math.min(delay * 2, longestDelayMs)) {
    try {
      for await (const item of subscribe(http, { id, after: last }, options.signal)) {
        if (brokenSince !== undefined) {
          brokenSince = undefined
          delay = 50
          options.onLink('back')
        }
        if (item.kind === 'caught-up') continue
        const event = item.item
        if (event.seq <= last) continue
        if (event.seq !== last + 1)
          throw new ForgeError('server_unreachable', `event ${last + 1} is missing from the stream`)
        last = event.seq
        yield event
        if (event.type === 'run.finished') return
      }
    } catch (error) {
      if (options.signal.aborted) throw new ForgeError('interrupted', 'interrupted', { cause: error })
      const failure = ForgeError.from(error)
      if (!failure.row.retryable) throw failure
      if (brokenSince !== undefined && options.now() - brokenSince > options.patience) throw failure
    }
    if (brokenSince === undefined) {
      brokenSince = options.now()
      options.onLink('lost')
    }
    await sleep(delay, undefined, { signal: options.signal }).catch((cause) => {
      throw new ForgeError('interrupted', 'interrupted', { cause })
    })
    // What it can't mend shows at the next attempt, which also knows when to give up.
    await options.revive().catch(() => {})
  }
}

/** One connection. Ends when the server says so; throws `server_unreachable` when it breaks. */
async function* subscribe(
  http: Http,
  input: { id: RunId; after: number },
  signal: AbortSignal,
): AsyncGenerator<StreamItem<Event>> {
  const dead = new AbortController()
  const abort = AbortSignal.any([signal, dead.signal])
  const body = await http.open({
    method: 'GET',
    path: queryPath('runs.follow', input),
    headers: { accept: 'text/event-stream' },
    signal: abort,
  })
  const watchdog = setInterval(() => {
    http
      .text({ method: 'GET', path: '/healthz', signal: AbortSignal.timeout(5000) })
      .catch(() => dead.abort())
  }, silenceMs)
  try {
    for await (const { event, data } of serverSentEvents(body)) {
      watchdog.refresh()
      if (event === 'return') return
      if (event === 'serialized-error') throw streamError(data)
      if (event === 'message') yield JSON.parse(data) as StreamItem<Event>
    }
  } catch (error) {
    if (error instanceof ForgeError) throw error
    throw new ForgeError('server_unreachable', 'the connection to the server broke', { cause: error })
  } finally {
    clearInterval(watchdog)
    body.destroy()
  }
  throw new ForgeError('server_unreachable', 'the server ended the stream')
}

function streamError(data: string): ForgeError {
  const shape = ErrorShape.safeParse((JSON.parse(data) as { data?: { forge?: unknown } }).data?.forge)
  return shape.success
    ? ForgeError.fromShape(shape.data)
    : new ForgeError('internal', `the server broke the stream off: ${data.slice(0, 300)}`)
}
