import type Anthropic from '@anthropic-ai/sdk'
import { z } from 'zod'
import type { AssistantBlock, Message, StopReason } from '#core/model/message.ts'
import type { Tokens } from '#core/run/run.ts'
import type { ModelRequest } from '../provider.ts'

type Block = Anthropic.ContentBlockParam

function assistantBlock(block: AssistantBlock): Block[] {
  switch (block.type) {
    case 'text':
      // The API refuses empty text.
      return block.text.trim() === '' ? [] : [{ type: 'text', text: block.text }]
    case 'thinking':
      if (block.redacted !== undefined) return [{ type: 'redacted_thinking', data: block.redacted }]
      // Without its signature the API takes no thinking back.
      if (block.signature === undefined) return []
      return [{ type: 'thinking', thinking: block.text, signature: block.signature }]
    case 'tool_call':
      return [{ type: 'tool_use', id: block.id, name: block.name, input: block.input ?? {} }]
  }
}

function messageParam(message: Message): Anthropic.MessageParam[] {
  const content: Block[] =
    message.role === 'assistant'
      ? message.content.flatMap(assistantBlock)
      : message.content.flatMap((block): Block[] =>
          block.type === 'tool_result'
            ? [
                {
                  type: 'tool_result',
                  tool_use_id: block.id,
                  content: block.content,
                  is_error: block.isError,
                },
              ]
            : block.text === ''
              ? []
              : [{ type: 'text', text: block.text }],
        )
  return content.length === 0 ? [] : [{ role: message.role, content }]
}

const cached = { cache_control: { type: 'ephemeral' as const } }

/**
 * The last block of the last two user messages becomes a cache breakpoint: the newest writes the whole
 * conversation so far, the one before is where this request reads what the last one wrote.
 */
function withBreakpoints(messages: Anthropic.MessageParam[]): Anthropic.MessageParam[] {
  const marked = messages.flatMap((message, index) => (message.role === 'user' ? [index] : [])).slice(-2)
  return messages.map((message, index) =>
    marked.includes(index) && Array.isArray(message.content)
      ? { role: 'user', content: markLast(message.content) }
      : message,
  )
}

function markLast(blocks: Block[]): Block[] {
  return blocks.map((block, index) =>
    index === blocks.length - 1 && (block.type === 'text' || block.type === 'tool_result')
      ? { ...block, ...cached }
      : block,
  )
}

/** Uses all four breakpoints that the API has: system, tools, and two in the messages. */
export function requestBody(model: string, request: ModelRequest): Anthropic.MessageCreateParamsStreaming {
  const last = request.tools.length - 1
  return {
    model,
    stream: true,
    max_tokens: request.maxOutputTokens,
    ...(request.system === '' ? {} : { system: [{ type: 'text', text: request.system, ...cached }] }),
    ...(last < 0
      ? {}
      : {
          tools: request.tools.map((tool, index) => ({
            name: tool.name,
            description: tool.description,
            input_schema: { ...tool.inputSchema, type: 'object' as const },
            ...(index === last ? cached : {}),
          })),
        }),
    messages: withBreakpoints(request.messages.flatMap(messageParam)),
  }
}

const tokens = z.number().int().nonnegative().nullish()
export const AnthropicUsage = z.object({
  input_tokens: tokens,
  output_tokens: tokens,
  cache_read_input_tokens: tokens,
  cache_creation_input_tokens: tokens,
})
export type AnthropicUsage = z.infer<typeof AnthropicUsage>

export const anthropicTokens = (usage: AnthropicUsage): Tokens => ({
  input: usage.input_tokens ?? 0,
  output: usage.output_tokens ?? 0,
  cacheRead: usage.cache_read_input_tokens ?? 0,
  cacheWrite: usage.cache_creation_input_tokens ?? 0,
})

const index = z.number().int().nonnegative().max(10_000)

/** The stream events that matter here; a block or delta of another type is `other`. */
export const StreamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message: z.object({ usage: AnthropicUsage }) }),
  z.object({
    type: z.literal('content_block_start'),
    index,
    content_block: z.union([
      z.object({ type: z.literal('text'), text: z.string() }),
      z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().optional() }),
      z.object({ type: z.literal('redacted_thinking'), data: z.string() }),
      z.object({
        type: z.literal('tool_use'),
        id: z.string().max(500),
        name: z.string().max(500),
        input: z.unknown(),
      }),
      z.object({ type: z.string() }).transform(() => ({ type: 'other' as const })),
    ]),
  }),
  z.object({
    type: z.literal('content_block_delta'),
    index,
    delta: z.union([
      z.object({ type: z.literal('text_delta'), text: z.string() }),
      z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
      z.object({ type: z.literal('signature_delta'), signature: z.string() }),
      z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
      z.object({ type: z.string() }).transform(() => ({ type: 'other' as const })),
    ]),
  }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.object({ stop_reason: z.string().nullish() }),
    usage: AnthropicUsage.optional(),
  }),
  z.object({ type: z.literal('message_stop') }),
])
export type StreamEvent = z.infer<typeof StreamEvent>
export const streamEventTypes: readonly string[] = [
  'message_start',
  'content_block_start',
  'content_block_delta',
  'message_delta',
  'message_stop',
]

const stops: Record<string, StopReason> = {
  tool_use: 'tool_calls',
  max_tokens: 'max_tokens',
  model_context_window_exceeded: 'max_tokens',
  refusal: 'refusal',
}

export const stopReason = (reason: string | null): StopReason => stops[reason ?? ''] ?? 'end'
