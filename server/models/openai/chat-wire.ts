import type OpenAI from 'openai'
import { z } from 'zod'
import type { Message, StopReason } from '#core/model/message.ts'
import type { Tokens } from '#core/run/run.ts'
import type { ModelRequest } from '../provider.ts'
import { isOpenai } from './endpoint.ts'

type Param = OpenAI.Chat.ChatCompletionMessageParam

function messageParams(message: Message): Param[] {
  if (message.role === 'assistant') {
    const text = message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
    const calls = message.content.filter((block) => block.type === 'tool_call')
    if (text === '' && calls.length === 0) return []
    return [
      {
        role: 'assistant',
        content: text === '' ? null : text,
        ...(calls.length === 0
          ? {}
          : {
              tool_calls: calls.map((call) => ({
                id: call.id,
                type: 'function' as const,
                // Servers that parse the arguments refuse the whole conversation for malformed ones.
                function: { name: call.name, arguments: JSON.stringify(call.input ?? {}) },
              })),
            }),
      },
    ]
  }
  // The API wants the results right behind their calls, before any other text.
  const results = message.content.filter((block) => block.type === 'tool_result')
  const text = message.content.map((block) => (block.type === 'text' ? block.text : '')).filter(Boolean)
  return [
    ...results.map((block): Param => ({ role: 'tool', tool_call_id: block.id, content: block.content })),
    ...(text.length === 0 ? [] : [{ role: 'user' as const, content: text.join('\n\n') }]),
  ]
}

/** OpenAI refuses `max_tokens` for its newer models; many other servers know nothing else. */
const outputLimit = (baseUrl: string, limit: number) =>
  isOpenai(baseUrl) ? { max_completion_tokens: limit } : { max_tokens: limit }

export function chatBody(
  setup: { model: string; baseUrl: string },
  request: ModelRequest,
): OpenAI.Chat.ChatCompletionCreateParamsStreaming {
  const system: Param[] = request.system === '' ? [] : [{ role: 'system', content: request.system }]
  return {
    model: setup.model,
    stream: true,
    stream_options: { include_usage: true },
    ...outputLimit(setup.baseUrl, request.maxOutputTokens),
    messages: [...system, ...request.messages.flatMap(messageParams)],
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            type: 'function' as const,
            function: {
              name: tool.name,
              description: tool.description,
              parameters: { ...tool.inputSchema },
            },
          })),
        }),
  }
}

const count = z.number().int().nonnegative().nullish()

export const ChatUsage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }).nullish(),
})

/** `reasoning_content` and `reasoning` are how servers of open reasoning models show their thinking. */
export const ChatChunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            refusal: z.string().nullish(),
            reasoning_content: z.string().nullish(),
            reasoning: z.string().nullish(),
            tool_calls: z
              .array(
                z.object({
                  index: z.number().int().nonnegative().max(10_000).nullish(),
                  id: z.string().max(500).nullish(),
                  function: z
                    .object({ name: z.string().max(500).nullish(), arguments: z.string().nullish() })
                    .nullish(),
                }),
              )
              .nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: ChatUsage.nullish(),
})
export type ChatChunk = z.infer<typeof ChatChunk>

/** `prompt_tokens` has the cached tokens in it. */
export function chatTokens(usage: z.infer<typeof ChatUsage>): Tokens {
  const cacheRead = usage.prompt_tokens_details?.cached_tokens ?? 0
  const cacheWrite = usage.prompt_tokens_details?.cache_write_tokens ?? 0
  return {
    input: Math.max(0, (usage.prompt_tokens ?? 0) - cacheRead - cacheWrite),
    output: usage.completion_tokens ?? 0,
    cacheRead,
    cacheWrite,
  }
}

const stops: Record<string, StopReason> = {
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  length: 'max_tokens',
  content_filter: 'refusal',
}

export const chatStop = (reason: string): StopReason => stops[reason] ?? 'end'
