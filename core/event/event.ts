import { z } from 'zod'
import { ErrorShape } from '../errors.ts'
import { Digest, RunId, SandboxId } from '../id.ts'
import { AssistantBlock, ModelUsage, StopReason } from '../model/message.ts'
import { DiffStat, RunOutcome, RunSpec, RunState, Tokens, Usd } from '../run/run.ts'

export const eventSchemaName = 'forge.events/1'

const Ending = z.object({
  outcome: RunOutcome,
  summary: z.string().nullable(),
  reason: z.string().nullable(),
  turns: z.number().int(),
  check: z
    .object({ command: z.string(), exitCode: z.number().int().nullable(), passed: z.boolean() })
    .nullable(),
})

/**
 * What each type of event carries. Bulk is never inline: it is a blob, named by digest.
 * Adding a type or an optional field keeps the schema's version; anything else makes a new one.
 */
export const eventData = {
  'run.created': z.object({ spec: RunSpec, model: z.string(), provider: z.string(), source: z.string() }),
  'run.state': z.object({ from: RunState, to: RunState, reason: z.string().optional() }),
  /** The server came back after a crash and went on with the run. */
  'run.resumed': z.object({ reason: z.string() }),
  'sandbox.ready': z.object({ sandbox: SandboxId, provider: z.string(), ms: z.number() }),
  'sandbox.lost': z.object({ sandbox: SandboxId, reason: z.string() }),
  'sandbox.destroyed': z.object({ sandbox: SandboxId }),
  'workspace.prepared': z.object({
    path: z.string(),
    branch: z.string(),
    start: z.string().nullable(),
    head: z.string().nullable(),
    files: z.number().int(),
    bytes: z.number().int(),
    ms: z.number(),
    instructions: z.array(z.string()),
  }),
  'workspace.captured': z.object({
    branch: z.string(),
    start: z.string().nullable(),
    tip: z.string().nullable(),
    head: z.string().nullable(),
    stat: DiffStat,
    bundle: Digest.nullable(),
    patch: Digest.nullable(),
    /** A JSON array of `FileChange`. */
    changes: Digest.nullable(),
  }),
  'message.user': z.object({ text: z.string() }),
  /** Text as it streams in, put together for at least 50 ms; `message.assistant` repeats it whole. */
  'message.delta': z.object({ turn: z.number().int(), kind: z.enum(['text', 'thinking']), text: z.string() }),
  /** The turn as the model sent it: from these and the tool results a conversation is rebuilt. */
  'message.assistant': z.object({
    turn: z.number().int(),
    content: z.array(AssistantBlock),
    stop: StopReason,
    usage: ModelUsage,
    ms: z.number(),
  }),
  'model.retried': z.object({
    attempt: z.number().int(),
    delayMs: z.number(),
    status: z.number().int().nullable(),
    reason: z.string(),
  }),
  /** A request that went through the gateway on behalf of a program inside the sandbox. */
  'model.proxied': z.object({
    api: z.enum(['anthropic.messages', 'openai.chat', 'openai.responses']),
    status: z.number().int(),
    usage: ModelUsage.nullable(),
    reason: z.string().optional(),
    ms: z.number(),
  }),
  'tool.started': z.object({
    call: z.string(),
    turn: z.number().int(),
    name: z.string(),
    input: z.record(z.string(), z.unknown()).nullable(),
  }),
  'tool.finished': z.object({
    call: z.string(),
    turn: z.number().int(),
    name: z.string(),
    isError: z.boolean(),
    /** One line for people. */
    title: z.string(),
    /** Exactly what the model is told. */
    content: z.string(),
    exitCode: z.number().int().nullable().optional(),
    /** Where the whole output is kept in the sandbox when `content` is shortened. */
    kept: z.string().optional(),
    ms: z.number(),
  }),
  'egress.decided': z.object({
    host: z.string(),
    port: z.number().int(),
    via: z.enum(['connect', 'http']),
    allowed: z.boolean(),
    rule: z.string(),
    reason: z.string().optional(),
    address: z.string().optional(),
    /** How many equal decisions, close after one another, it stands for; absent: one. */
    count: z.number().int().positive().optional(),
  }),
  'check.started': z.object({ command: z.string(), attempt: z.number().int() }),
  'check.finished': z.object({
    command: z.string(),
    attempt: z.number().int(),
    exitCode: z.number().int().nullable(),
    passed: z.boolean(),
    /** The last lines, at most 8 KiB. */
    output: z.string(),
    ms: z.number(),
  }),
  /** The agent will do no more; what follows is bringing its work out and clearing up. */
  'agent.finished': Ending.extend({ error: ErrorShape.optional() }),
  'run.warning': z.object({ message: z.string(), hint: z.string().optional() }),
  'run.finished': Ending.extend({
    exitCode: z.number().int(),
    error: ErrorShape.optional(),
    tokens: Tokens,
    cost: Usd.nullable(),
    diff: DiffStat.nullable(),
    ms: z.number(),
  }),
} as const

export type EventType = keyof typeof eventData
const eventTypes = Object.keys(eventData) as EventType[]
export type EventData<T extends EventType = EventType> = z.infer<(typeof eventData)[T]>

/** `user:NAME`, `agent`, `server`, `sandbox`; `client` on the lines that a CLI adds itself when it has lost its server. */
export const Actor = z.string().regex(/^(user:.{1,100}|agent|server|sandbox|client)$/)

const eventOf = <T extends EventType>(type: T) =>
  z.object({
    /** On the first line of a stream only. */
    schema: z.literal(eventSchemaName).optional(),
    run: RunId,
    seq: z.number().int().positive(),
    /** ISO 8601, UTC, milliseconds. */
    at: z.iso.datetime(),
    actor: Actor,
    type: z.literal(type),
    data: eventData[type],
  })

type EventUnion = { [T in EventType]: ReturnType<typeof eventOf<T>> }[EventType]

/** One line of `--json`, one row of the ledger. */
export const Event = z.discriminatedUnion(
  'type',
  eventTypes.map(eventOf) as unknown as [EventUnion, ...EventUnion[]],
)
export type Event = z.infer<EventUnion>
export type EventOf<T extends EventType> = Extract<Event, { type: T }>

/** An event before the ledger has given it its place. */
export type EventDraft = { [T in EventType]: { actor: string; type: T; data: EventData<T> } }[EventType]
