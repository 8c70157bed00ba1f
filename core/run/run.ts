import { z } from 'zod'
import { ForgeError } from '../errors.ts'
import { Digest, RunId, SandboxId } from '../id.ts'

export const RunState = z.enum(['queued', 'preparing', 'running', 'waiting', 'finished'])
export type RunState = z.infer<typeof RunState>

const moves: Record<RunState, readonly RunState[]> = {
  queued: ['preparing', 'finished'],
  preparing: ['running', 'finished'],
  running: ['waiting', 'finished'],
  waiting: ['running', 'finished'],
  finished: [],
}

/** Throws `illegal_move` where the table has no such move. */
export function assertRunMove(from: RunState, to: RunState): void {
  if (!moves[from].includes(to))
    throw new ForgeError('illegal_move', `a run cannot go from ${from} to ${to}`, { data: { from, to } })
}

/** How a run ended, with the exit code that `forge run` takes from it. */
export const outcomeExit = {
  done: 0,
  failed: 5,
  check_failed: 5,
  turns_spent: 5,
  model_unavailable: 4,
  provider_unavailable: 4,
  internal: 6,
  denied: 7,
  budget_spent: 8,
  sandbox_lost: 9,
  server_lost: 1,
  timed_out: 124,
  interrupted: 130,
  terminated: 143,
  cancelled: 130,
} as const

export type RunOutcome = keyof typeof outcomeExit
export const RunOutcome = z.enum(Object.keys(outcomeExit) as [RunOutcome, ...RunOutcome[]])

/** A money amount in US dollars. */
export const Usd = z.number().nonnegative()

export const RunLimits = z.object({
  maxTurns: z.number().int().min(1).max(1000).default(16),
  /** US dollars; absent means no limit. */
  maxCost: Usd.optional(),
  /** Input and output tokens together; absent means no limit. */
  maxTokens: z.number().int().positive().optional(),
  /** Wall time of the whole run, in seconds. */
  timeout: z
    .number()
    .positive()
    .max(7 * 86_400)
    .default(3600),
})
export type RunLimits = z.infer<typeof RunLimits>

/** `host:port`, where host may start with `*.`; a CIDR or address entry also allows that (otherwise refused) range. */
export const EgressPattern = z.string().min(1).max(300).regex(/^\S+$/, 'no spaces')

/** What the sandbox starts from. A `bundle` was uploaded before (`PUT /v1/blobs`). */
export const RunSource = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('url'), url: z.string().min(1).max(2000), ref: z.string().max(250).optional() }),
  z.object({
    kind: z.literal('bundle'),
    digest: Digest,
    /** The commit in the bundle that the work starts from: the user's HEAD, or a commit on top of it that holds the uncommitted changes. */
    start: z.string().regex(/^[0-9a-f]{40,64}$/),
    /** The user's HEAD, which the user's repository has; null in a repository without commits. */
    head: z
      .string()
      .regex(/^[0-9a-f]{40,64}$/)
      .nullable(),
    branch: z.string().max(250).nullable(),
    /** For display only. */
    path: z.string().max(4096),
    /** The `origin` remote's URL without credentials: its host is added to the egress allowlist. */
    origin: z.string().max(2000).optional(),
  }),
])
export type RunSource = z.infer<typeof RunSource>

/** Model credentials given with one run; kept in memory, never stored. */
export const ModelCredentials = z.object({
  anthropic: z.object({ apiKey: z.string().optional(), baseUrl: z.url().optional() }).optional(),
  openai: z.object({ apiKey: z.string().optional(), baseUrl: z.url().optional() }).optional(),
})
export type ModelCredentials = z.infer<typeof ModelCredentials>

export const RunSpec = z.object({
  prompt: z.string().min(1).max(1_000_000),
  source: RunSource.default({ kind: 'none' }),
  /** `anthropic/NAME`, `openai/NAME` or `demo/scripted`; absent: the server's default. */
  model: z.string().max(200).optional(),
  /** A provider's name or `auto`. */
  provider: z.string().max(100).default('auto'),
  /** A shell command that must exit 0 for the run to be done. */
  check: z.string().max(100_000).optional(),
  limits: RunLimits.prefault({}),
  allow: z.array(EgressPattern).max(200).default([]),
})
export type RunSpec = z.infer<typeof RunSpec>
export type RunSpecInput = z.input<typeof RunSpec>

export const Tokens = z.object({
  input: z.number().int().nonnegative(),
  output: z.number().int().nonnegative(),
  cacheRead: z.number().int().nonnegative(),
  cacheWrite: z.number().int().nonnegative(),
})
export type Tokens = z.infer<typeof Tokens>
export const noTokens: Tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }

export const addTokens = (one: Tokens, other: Tokens): Tokens => ({
  input: one.input + other.input,
  output: one.output + other.output,
  cacheRead: one.cacheRead + other.cacheRead,
  cacheWrite: one.cacheWrite + other.cacheWrite,
})

export const DiffStat = z.object({
  files: z.number().int().nonnegative(),
  insertions: z.number().int().nonnegative(),
  deletions: z.number().int().nonnegative(),
})
export type DiffStat = z.infer<typeof DiffStat>

/** A run as lists and `forge runs show` give it. Times are ISO 8601 in UTC. */
export const Run = z.object({
  id: RunId,
  state: RunState,
  outcome: RunOutcome.nullable(),
  prompt: z.string(),
  model: z.string(),
  provider: z.string(),
  sandbox: SandboxId.nullable(),
  source: z.string(),
  check: z.string().nullable(),
  limits: RunLimits,
  turns: z.number().int(),
  tokens: Tokens,
  /** US dollars; null when the model's price is not known. */
  cost: Usd.nullable(),
  diff: DiffStat.nullable(),
  summary: z.string().nullable(),
  reason: z.string().nullable(),
  createdAt: z.string(),
  finishedAt: z.string().nullable(),
  lastSeq: z.number().int(),
})
export type Run = z.infer<typeof Run>
