import { z } from 'zod'
import { Tokens, Usd } from '../run/run.ts'

const TextBlock = z.object({ type: z.literal('text'), text: z.string() })
/** `signature` (Anthropic) or `encrypted` (OpenAI reasoning) must be given back unchanged in the next request. */
const ThinkingBlock = z.object({
  type: z.literal('thinking'),
  text: z.string(),
  signature: z.string().optional(),
  redacted: z.string().optional(),
  encrypted: z.object({ id: z.string(), content: z.string() }).optional(),
})
export const ToolCall = z.object({
  type: z.literal('tool_call'),
  id: z.string(),
  name: z.string(),
  /** The parsed arguments; null when the model sent something that is no JSON object, which `raw` then holds. */
  input: z.record(z.string(), z.unknown()).nullable(),
  raw: z.string().optional(),
})
export type ToolCall = z.infer<typeof ToolCall>
export const ToolResult = z.object({
  type: z.literal('tool_result'),
  id: z.string(),
  content: z.string(),
  isError: z.boolean(),
})
export type ToolResult = z.infer<typeof ToolResult>

export const AssistantBlock = z.discriminatedUnion('type', [TextBlock, ThinkingBlock, ToolCall])
export type AssistantBlock = z.infer<typeof AssistantBlock>
export const UserBlock = z.discriminatedUnion('type', [TextBlock, ToolResult])
export type UserBlock = z.infer<typeof UserBlock>

/** One conversation message in Forge's own form; model providers translate it to and from their wire format. */
export type Message =
  | { role: 'user'; content: UserBlock[] }
  | { role: 'assistant'; content: AssistantBlock[] }

export const StopReason = z.enum(['end', 'tool_calls', 'max_tokens', 'refusal'])
export type StopReason = z.infer<typeof StopReason>

/** What one model request used. `cost` is in US dollars, null when the model's price is not known. */
export const ModelUsage = z.object({ model: z.string(), tokens: Tokens, cost: Usd.nullable() })
export type ModelUsage = z.infer<typeof ModelUsage>
