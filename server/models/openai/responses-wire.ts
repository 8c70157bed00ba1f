import type OpenAI from 'openai'
import { z } from 'zod'
import type { AssistantBlock, Message } from '#core/model/message.ts'
import type { Tokens } from '#core/run/run.ts'
import type { ModelRequest } from '../provider.ts'
import { toolCallOf } from '../tool-call.ts'

type Input = OpenAI.Responses.ResponseInputItem

function assistantItems(block: AssistantBlock): Input[] {
  switch (block.type) {
    case 'text':
      return block.text === '' ? [] : [{ role: 'assistant', content: block.text }]
    case 'thinking':
      if (block.encrypted === undefined) return []
      return [
        {
          type: 'reasoning',
          id: block.encrypted.id,
          encrypted_content: block.encrypted.content,
          summary: block.text === '' ? [] : [{ type: 'summary_text', text: block.text }],
        },
      ]
    case 'tool_call':
      return [
        {
          type: 'function_call',
          call_id: block.id,
          name: block.name,
          arguments: JSON.stringify(block.input ?? {}),
        },
      ]
  }
}

const inputItems = (message: Message): Input[] =>
  message.role === 'assistant'
    ? message.content.flatMap(assistantItems)
    : message.content.map((block) =>
        block.type === 'tool_result'
          ? { type: 'function_call_output', call_id: block.id, output: block.content }
          : { role: 'user', content: block.text },
      )

/** Reasoning models; the others refuse to be asked for encrypted reasoning. */
const reasons = (model: string): boolean => /^(gpt-([5-9]|\d\d)|o\d|codex)/.test(model)

/** Nothing is stored at OpenAI, so reasoning comes back to us encrypted and is sent along with the next request. */
export function responsesBody(
  model: string,
  request: ModelRequest,
): OpenAI.Responses.ResponseCreateParamsStreaming {
  return {
    model,
    stream: true,
    store: false,
    ...(reasons(model) ? { include: ['reasoning.encrypted_content' as const] } : {}),
    max_output_tokens: request.maxOutputTokens,
    ...(request.system === '' ? {} : { instructions: request.system }),
    input: request.messages.flatMap(inputItems),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            type: 'function' as const,
            name: tool.name,
            description: tool.description,
            parameters: { ...tool.inputSchema },
            strict: false,
          })),
        }),
  }
}

const count = z.number().int().nonnegative().nullish()

export const ResponsesUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }).nullish(),
})

/** `input_tokens` has the cached tokens in it. */
export function responsesTokens(usage: z.infer<typeof ResponsesUsage>): Tokens {
  const cacheRead = usage.input_tokens_details?.cached_tokens ?? 0
  const cacheWrite = usage.input_tokens_details?.cache_write_tokens ?? 0
  return {
    input: Math.max(0, (usage.input_tokens ?? 0) - cacheRead - cacheWrite),
    output: usage.output_tokens ?? 0,
    cacheRead,
    cacheWrite,
  }
}

const Item = z.union([
  z.object({
    type: z.literal('message'),
    content: z.array(
      z.union([
        z.object({ type: z.literal('output_text'), text: z.string() }),
        z.object({ type: z.literal('refusal'), refusal: z.string() }),
        z.object({ type: z.string() }).transform(() => ({ type: 'other' as const })),
      ]),
    ),
  }),
  z.object({
    type: z.literal('reasoning'),
    id: z.string().max(500),
    summary: z.array(z.object({ text: z.string() })).nullish(),
    content: z.array(z.object({ text: z.string() })).nullish(),
    encrypted_content: z.string().nullish(),
  }),
  z.object({
    type: z.literal('function_call'),
    call_id: z.string().max(500),
    name: z.string().max(500),
    arguments: z.string(),
  }),
  z.object({ type: z.string() }).transform(() => ({ type: 'other' as const })),
])
type Item = z.infer<typeof Item>

const Failed = z.object({ message: z.string().nullish(), code: z.string().nullish() }).nullish()
const Done = z.object({
  usage: ResponsesUsage.nullish(),
  incomplete_details: z.object({ reason: z.string().nullish() }).nullish(),
  error: Failed,
})

/** The stream events that matter here. Items are taken whole, as they are when they are done. */
export const ResponsesEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('response.output_text.delta'), delta: z.string() }),
  z.object({ type: z.literal('response.refusal.delta'), delta: z.string() }),
  z.object({ type: z.literal('response.reasoning_summary_text.delta'), delta: z.string() }),
  z.object({ type: z.literal('response.reasoning_text.delta'), delta: z.string() }),
  z.object({ type: z.literal('response.output_item.done'), item: Item }),
  z.object({ type: z.literal('response.completed'), response: Done }),
  z.object({ type: z.literal('response.incomplete'), response: Done }),
  z.object({ type: z.literal('response.failed'), response: Done }),
])
export type ResponsesEvent = z.infer<typeof ResponsesEvent>
export const responsesEventTypes: readonly string[] = ResponsesEvent.options.map(
  (option) => option.shape.type.value,
)

/** `refused` is true for a message that is a refusal. */
export function blocksOf(item: Item): { blocks: AssistantBlock[]; refused: boolean } {
  switch (item.type) {
    case 'message': {
      const parts = item.content
      const text = parts
        .map((part) =>
          part.type === 'output_text' ? part.text : part.type === 'refusal' ? part.refusal : '',
        )
        .join('')
      return {
        blocks: text === '' ? [] : [{ type: 'text', text }],
        refused: parts.some((part) => part.type === 'refusal'),
      }
    }
    case 'reasoning': {
      const parts = item.summary?.length ? item.summary : (item.content ?? [])
      const text = parts.map((part) => part.text).join('\n\n')
      const sealed = item.encrypted_content
        ? { encrypted: { id: item.id, content: item.encrypted_content } }
        : {}
      return { blocks: [{ type: 'thinking', text, ...sealed }], refused: false }
    }
    case 'function_call':
      return { blocks: [toolCallOf(item.call_id, item.name, item.arguments)], refused: false }
    case 'other':
      return { blocks: [], refused: false }
  }
}
