import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'

const count = z.number().int().nonnegative()

/** How one answer goes wrong. `afterEvents` counts the SSE events that still arrive whole. */
export const Fault = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('status'),
    status: z.number().int().min(400).max(599),
    /** Seconds, or an HTTP date, as the `retry-after` header has it. */
    retryAfter: z.string().optional(),
    message: z.string().default('scripted failure'),
    /** The API's own name of the error; absent: what the API gives with this status. */
    type: z.string().optional(),
  }),
  /** The connection is reset. */
  z.object({ kind: z.literal('cut'), afterEvents: count }),
  /** The response ends as if it were complete. */
  z.object({ kind: z.literal('end'), afterEvents: count }),
  z.object({
    kind: z.literal('error'),
    afterEvents: count,
    type: z.string().default('overloaded_error'),
    message: z.string().default('Overloaded'),
  }),
  z.object({ kind: z.literal('garbage'), afterEvents: count }),
  /** One event of that many bytes. */
  z.object({
    kind: z.literal('huge'),
    afterEvents: count.default(1),
    bytes: count.default(10 * 1024 * 1024),
  }),
  /** Text events until the client goes away. */
  z.object({ kind: z.literal('endless'), bytesPerEvent: count.default(1024) }),
  /** The connection stays open and nothing more comes. With `afterEvents` 0 not even the headers. */
  z.object({ kind: z.literal('silence'), afterEvents: count.default(0) }),
])
export type Fault = z.infer<typeof Fault>

const ScriptedCall = z.object({
  name: z.string(),
  input: z.record(z.string(), z.unknown()).default({}),
  /** Sent instead of `input`, as it is: for malformed or truncated JSON. */
  rawInput: z.string().optional(),
  id: z.string().optional(),
})

/** One answer. What is given is sent in the order thinking, text, calls. */
export const Turn = z.object({
  thinking: z.string().optional(),
  text: z.string().optional(),
  calls: z.array(ScriptedCall).default([]),
  stop: z.enum(['end', 'tool_calls', 'max_tokens', 'refusal']).optional(),
  usage: z
    .object({
      input: count.default(100),
      output: count.default(20),
      cacheRead: count.default(0),
      cacheWrite: count.default(0),
    })
    .prefault({}),
  /** Characters in one delta. */
  chunk: z.number().int().positive().default(40),
  fault: Fault.optional(),
})
export type Turn = z.infer<typeof Turn>
export type TurnInput = z.input<typeof Turn>

/**
 * A script as JSON. `by: 'request'` gives turn N to the Nth request, failed ones included.
 * `by: 'conversation'` gives turn N to a request with N assistant messages, so that many conversations
 * can be played at once. Beyond the last turn the answer is a 400, or with `repeatLast` the last turn again.
 */
export const Script = z.object({
  by: z.enum(['request', 'conversation']).default('request'),
  repeatLast: z.boolean().default(false),
  turns: z.array(Turn).min(1),
})
export type ScriptInput = z.input<typeof Script>

export type Api = 'anthropic' | 'chat' | 'responses'

/** What a reactive script sees of a request, whichever API it came by. */
export interface ScriptedRequest {
  readonly api: Api
  readonly model: string
  readonly stream: boolean
  readonly system: string
  /** The text of the first user message. */
  readonly prompt: string
  /** Assistant messages so far. */
  readonly turns: number
  readonly tools: readonly string[]
  /** Every tool call so far with its result, in order. */
  readonly calls: readonly { name: string; input: string; result: string | null }[]
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

export type ReactiveScript = (request: ScriptedRequest, index: number) => TurnInput

/** Turns a script of either form into a function of the request. Null: the script has no turn for it. */
export function playOf(script: ScriptInput | ReactiveScript): (request: ScriptedRequest) => Turn | null {
  let requests = 0
  if (typeof script === 'function') return (request) => Turn.parse(script(request, requests++))
  const { by, repeatLast, turns } = Script.parse(script)
  return (request) => {
    const index = by === 'request' ? requests++ : request.turns
    return turns[repeatLast ? Math.min(index, turns.length - 1) : index] ?? null
  }
}
