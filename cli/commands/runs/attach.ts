import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorShape, ForgeError } from '#core/errors.ts'
import { type Event, type EventOf, eventSchemaName } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { RunOutcome } from '#core/run/run.ts'
import { call } from '../../client/call.ts'
import { type FollowOptions, followRun } from '../../client/follow.ts'
import type { Http } from '../../client/http.ts'
import type { Context } from '../../context.ts'
import { RunView } from '../../output/run-view.ts'
import type { StopSignals } from './stop-signals.ts'
import { Tally } from './tally.ts'

/** How long a lost server is looked for. */
const patienceMs = 30_000
/** How long a cancelled run may take to finish before the client leaves without it. */
const cancelLimitMs = 20_000

/**
 * Shows a run until it has finished, and gives its last event. The run belongs to this client: a signal cancels
 * it, a second one leaves at once. When the server is lost, or doesn't finish the run in time, the last
 * event is the client's own. Throws ReaderGone and `disk_full` when the output breaks, after cancelling.
 */
export async function attach(
  context: Context,
  http: Http,
  options: { run: RunId; json: boolean; signals: StopSignals },
): Promise<EventOf<'run.finished'>> {
  const { host } = context
  const tally = new Tally(options.run, host.now())
  const show = shower(context, options.json)
  const leave = new AbortController()
  options.signals.handle((outcome, again) => {
    if (again) return leave.abort()
    context.note('stopping the run; once more leaves at once')
    void call(http, 'runs.cancel', { id: options.run, outcome }).catch(() => leave.abort())
    void sleep(cancelLimitMs, undefined, { ref: false }).then(() => leave.abort())
  })
  const end = async (outcome: RunOutcome, reason: string, error?: ErrorShape) => {
    const last = tally.finish(outcome, { reason, now: host.now(), ...(error ? { error } : {}) })
    await show(last)
    return last
  }
  const followed = followOptions(context, { after: 0, signal: leave.signal })
  try {
    for await (const event of followRun(http, options.run, followed)) {
      tally.see(event)
      await show(event)
      if (event.type === 'run.finished') return event
    }
    throw new ForgeError('internal', 'the stream of events ended before the run did')
  } catch (thrown) {
    if (host.stdout.broken) {
      await cancelQuietly(http, options.run)
      throw thrown
    }
    const { first } = options.signals
    if (first) return await end(first, 'the client left before the run had finished')
    const error = ForgeError.from(thrown).toShape()
    if (error.code === 'server_unreachable') return await end('server_lost', error.message, error)
    return await end('internal', error.message, error)
  }
}

/** To the end of the run; people are told of breaks. */
export const followOptions = (
  context: Context,
  from: Pick<FollowOptions, 'after' | 'signal'>,
): FollowOptions => ({
  ...from,
  revive: async () => {
    await context.server()
  },
  onLink: (state) =>
    context.note(state === 'lost' ? 'the server does not answer; looking for it' : 'the server is back'),
  patience: patienceMs,
  now: context.host.now,
})

const cancelQuietly = (http: Http, id: RunId): Promise<void> =>
  call(http, 'runs.cancel', { id, outcome: 'interrupted' }, AbortSignal.timeout(2000)).then(
    () => {},
    () => {},
  )

/** Prints events: one JSON line each, the first with the schema's name, or in words. */
export function shower(context: Context, json: boolean): (event: Event) => Promise<void> {
  if (!json) {
    const view = new RunView({
      style: context.style,
      width: context.host.size().columns,
      live: context.host.tty.stdout && context.host.env.TERM !== 'dumb',
    })
    return (event) => {
      const text = view.render(event)
      return text === '' ? Promise.resolve() : context.print(text)
    }
  }
  let first = true
  return (event) => {
    const line = first ? { schema: eventSchemaName, ...event } : event
    first = false
    return context.print(`${JSON.stringify(line)}\n`)
  }
}
