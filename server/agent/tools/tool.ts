import { z } from 'zod'
import { type ErrorCode, ForgeError } from '#core/errors.ts'
import type { ToolDefinition } from '../../models/provider.ts'
import type { Wire } from '../../sandbox/wire/wire.ts'
import { renderPrompt } from '../prompts.ts'

export interface ToolContext {
  readonly wire: Wire
  /** The work tree in the sandbox; relative paths start here. */
  readonly workdir: string
  readonly signal: AbortSignal
  /** Where in the sandbox this call may keep an output that is too long for the model. */
  readonly keep: string
  /** Milliseconds until the run's deadline. */
  readonly remaining: () => number
}

export interface ToolOutcome {
  /** One line for people. */
  readonly title: string
  /** What the model is told. */
  readonly content: string
  readonly isError: boolean
  readonly exitCode?: number | null
  /** Where the whole output is kept in the sandbox when `content` is shortened. */
  readonly kept?: string
}

export interface Tool {
  readonly definition: ToolDefinition
  /** Calls of such tools may run side by side. */
  readonly readOnly: boolean
  /**
   * `input` is whatever the model sent: what does not fit is told to the model, as is whatever it can do
   * something about. Throws `sandbox_lost`, `interrupted`, and bugs.
   */
  run(input: Record<string, unknown>, context: ToolContext): Promise<ToolOutcome>
}

interface ToolSource<S extends z.ZodObject> {
  readonly name: string
  /** A Liquid template over `facts`. */
  readonly prompt: string
  readonly facts: Record<string, unknown>
  readonly input: S
  readonly readOnly: boolean
  readonly run: (input: z.output<S>, context: ToolContext) => Promise<ToolOutcome>
}

/** Errors that say something about the call; all others say something about the run. */
export const toldToModel: readonly ErrorCode[] = [
  'not_found',
  'denied',
  'conflict',
  'disk_full',
  'too_large',
  'invalid_input',
  'task_failed',
  'wire_lost',
  'timed_out',
]

/** A path argument of a tool. */
export const PathInput = z
  .string()
  .min(1, 'is empty')
  .max(4096, 'is longer than 4096 characters')
  .refine((path) => !path.includes('\0'), 'contains a NUL')

export function toolError(title: string, content: string): ToolOutcome {
  return { title, content, isError: true }
}

export function defineTool<S extends z.ZodObject>(source: ToolSource<S>): Tool {
  const { $schema, ...inputSchema } = z.toJSONSchema(source.input, { io: 'input' })
  return {
    definition: {
      name: source.name,
      description: renderPrompt(source.prompt, source.facts),
      inputSchema,
    },
    readOnly: source.readOnly,
    async run(input, context) {
      const parsed = source.input.safeParse(input)
      if (!parsed.success) return toolError('invalid arguments', explain(source, parsed.error))
      try {
        return await source.run(parsed.data, context)
      } catch (thrown) {
        if (!(thrown instanceof ForgeError) || !toldToModel.includes(thrown.code)) throw thrown
        const hint = thrown.hint === undefined ? '' : `\n${thrown.hint}`
        return toolError(thrown.message, `${thrown.message}${hint}`)
      }
    },
  }
}

function explain(source: Pick<ToolSource<z.ZodObject>, 'name' | 'input'>, error: z.ZodError): string {
  const faults = error.issues
    .slice(0, 10)
    .map((issue) =>
      issue.path.length === 0 ? `- ${issue.message}` : `- ${issue.path.join('.')}: ${issue.message}`,
    )
  const known = Object.entries(source.input.shape)
    .map(([name, field]) => (field.safeParse(undefined).success ? `${name} (optional)` : name))
    .join(', ')
  return `Nothing was run: the arguments of ${source.name} are not valid.\n${faults.join('\n')}\nIts arguments are: ${known}.`
}
