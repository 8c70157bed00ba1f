import { ForgeError } from '#core/errors.ts'
import type { EventDraft } from '#core/event/event.ts'
import { History } from './history.ts'
import type { AgentOptions } from './options.ts'
import { Requests } from './requests.ts'

/** One run of the loop: its options and what has come of them so far. */
export interface Session {
  readonly options: AgentOptions
  readonly history: History
  readonly requests: Requests
  /** Aborts with the caller's signal and at the deadline. */
  readonly signal: AbortSignal
  /** Into the ledger, and then into the conversation. */
  readonly record: (draft: EventDraft) => Promise<void>
  /** Whether `record` threw this: then it says nothing about the run. */
  readonly isUnwritten: (thrown: unknown) => boolean
  /** Milliseconds until the deadline, at least 0. */
  readonly remaining: () => number
  /** The file in the sandbox for a long output. */
  readonly outputFile: (name: string) => string
  readonly close: () => void
}

export function openSession(options: AgentOptions): Session {
  const history = options.history ?? new History()
  const unwritten = new Set<unknown>()
  const deadline = new AbortController()
  const remaining = () => Math.max(0, options.deadline - options.clock.now())
  const timer = setTimeout(() => {
    deadline.abort(
      new ForgeError('timed_out', `the time limit of ${options.limits.timeout} s was reached`, {
        hint: 'raise it with --timeout',
      }),
    )
  }, remaining())
  return {
    options,
    history,
    requests: new Requests(options),
    signal: AbortSignal.any([options.signal, deadline.signal]),
    async record(draft) {
      const event = await options.record(draft).catch((error: unknown) => {
        unwritten.add(error)
        throw error
      })
      history.apply(event)
    },
    isUnwritten: (thrown) => unwritten.has(thrown),
    remaining,
    outputFile: (name) => `${options.outputFolder ?? '/tmp/forge/output'}/${name}.txt`,
    close: () => clearTimeout(timer),
  }
}
