import { argumentsOf, type Dialect, type Frame, slices, stopOf } from './frames.ts'
import { openaiErrorBody } from './openai-error.ts'
import type { Turn } from './script.ts'

const finishReasons = {
  end: 'stop',
  tool_calls: 'tool_calls',
  max_tokens: 'length',
  refusal: 'content_filter',
}

const head = (model: string, object: string) => ({
  id: 'chatcmpl-scripted',
  object,
  created: 1,
  model,
})

/** `prompt_tokens` counts cached tokens too; a script's `input` does not. */
const usageOf = ({ usage }: Turn) => {
  const prompt = usage.input + usage.cacheRead
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead },
    completion_tokens_details: { reasoning_tokens: 0 },
  }
}

const chunk = (model: string, fields: Record<string, unknown>): Frame => ({
  data: JSON.stringify({ ...head(model, 'chat.completion.chunk'), ...fields }),
})

const delta = (model: string, content: Record<string, unknown>, finish: string | null = null): Frame =>
  chunk(model, { choices: [{ index: 0, delta: content, finish_reason: finish }], usage: null })

const callIds = (turn: Turn): string[] => turn.calls.map((call) => call.id ?? `call_${crypto.randomUUID()}`)

function callFrames(turn: Turn, model: string): Frame[] {
  const ids = callIds(turn)
  return turn.calls.flatMap((call, index) => [
    delta(model, {
      tool_calls: [{ index, id: ids[index], type: 'function', function: { name: call.name, arguments: '' } }],
    }),
    ...[...slices(argumentsOf(call), turn.chunk)].map((part) =>
      delta(model, { tool_calls: [{ index, function: { arguments: part } }] }),
    ),
  ])
}

/**
 * OpenAI Chat Completions. `reasoning_content` is what OpenAI-compatible servers of reasoning models add.
 * The chunk with the usage is part of every stream here; the server leaves it out where the client did not
 * ask for it with `stream_options.include_usage`.
 */
export const chatDialect: Dialect = {
  frames: (turn, model) => [
    delta(model, { role: 'assistant', content: '' }),
    ...[...slices(turn.thinking ?? '', turn.chunk)].map((text) => delta(model, { reasoning_content: text })),
    ...[...slices(turn.text ?? '', turn.chunk)].map((content) => delta(model, { content })),
    ...callFrames(turn, model),
    delta(model, {}, finishReasons[stopOf(turn)]),
    chunk(model, { choices: [], usage: usageOf(turn) }),
    { data: '[DONE]' },
  ],
  textFrame: (content) => delta('scripted', { content }),
  errorFrame: (type, message) => ({ data: JSON.stringify({ error: { message, type, code: type } }) }),
  whole(turn, model) {
    const ids = callIds(turn)
    return {
      ...head(model, 'chat.completion'),
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: turn.text ?? null,
            refusal: null,
            ...(turn.calls.length === 0
              ? {}
              : {
                  tool_calls: turn.calls.map((call, index) => ({
                    id: ids[index],
                    type: 'function',
                    function: { name: call.name, arguments: argumentsOf(call) },
                  })),
                }),
          },
          logprobs: null,
          finish_reason: finishReasons[stopOf(turn)],
        },
      ],
      usage: usageOf(turn),
    }
  },
  errorBody: openaiErrorBody,
}
