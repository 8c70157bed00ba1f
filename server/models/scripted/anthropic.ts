import { argumentsOf, type Dialect, type Frame, slices, stopOf } from './frames.ts'
import type { Turn } from './script.ts'

/** Error types by status: https://docs.claude.com/en/api/errors */
const errorTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
}

const stopReasons = { end: 'end_turn', tool_calls: 'tool_use', max_tokens: 'max_tokens', refusal: 'refusal' }

const frame = (type: string, fields: Record<string, unknown>): Frame => ({
  event: type,
  data: JSON.stringify({ type, ...fields }),
})

const usageOf = (turn: Turn) => ({
  input_tokens: turn.usage.input,
  cache_creation_input_tokens: turn.usage.cacheWrite,
  cache_read_input_tokens: turn.usage.cacheRead,
  cache_creation: { ephemeral_5m_input_tokens: turn.usage.cacheWrite, ephemeral_1h_input_tokens: 0 },
  output_tokens: turn.usage.output,
  service_tier: 'standard',
})

const thinkingSignature = (text: string): string => Buffer.from(`signed:${text}`).toString('base64')

type Block = { start: Record<string, unknown>; deltas: Record<string, unknown>[]; whole: object }

function blocksOf(turn: Turn): Block[] {
  const blocks: Block[] = []
  if (turn.thinking !== undefined) {
    const signature = thinkingSignature(turn.thinking)
    blocks.push({
      start: { type: 'thinking', thinking: '', signature: '' },
      deltas: [
        ...[...slices(turn.thinking, turn.chunk)].map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature },
      ],
      whole: { type: 'thinking', thinking: turn.thinking, signature },
    })
  }
  if (turn.text !== undefined)
    blocks.push({
      start: { type: 'text', text: '' },
      deltas: [...slices(turn.text, turn.chunk)].map((text) => ({ type: 'text_delta', text })),
      whole: { type: 'text', text: turn.text },
    })
  for (const call of turn.calls) {
    const head = { type: 'tool_use', id: call.id ?? `toolu_${crypto.randomUUID()}`, name: call.name }
    blocks.push({
      start: { ...head, input: {} },
      deltas: ['', ...slices(argumentsOf(call), turn.chunk)].map((partial_json) => ({
        type: 'input_json_delta',
        partial_json,
      })),
      whole: { ...head, input: call.input },
    })
  }
  return blocks
}

const messageOf = (turn: Turn, model: string) => ({
  id: `msg_${crypto.randomUUID()}`,
  type: 'message',
  role: 'assistant',
  model,
  content: blocksOf(turn).map((block) => block.whole),
  stop_reason: stopReasons[stopOf(turn)],
  stop_sequence: null,
  usage: usageOf(turn),
})

/** Anthropic Messages, as `POST /v1/messages` answers: https://docs.claude.com/en/api/messages-streaming */
export const anthropicDialect: Dialect = {
  frames(turn, model) {
    const start = {
      ...messageOf(turn, model),
      content: [],
      stop_reason: null,
      usage: { ...usageOf(turn), output_tokens: 1 },
    }
    return [
      frame('message_start', { message: start }),
      frame('ping', {}),
      ...blocksOf(turn).flatMap((block, index) => [
        frame('content_block_start', { index, content_block: block.start }),
        ...block.deltas.map((delta) => frame('content_block_delta', { index, delta })),
        frame('content_block_stop', { index }),
      ]),
      frame('message_delta', {
        delta: { stop_reason: stopReasons[stopOf(turn)], stop_sequence: null },
        usage: { output_tokens: turn.usage.output },
      }),
      frame('message_stop', {}),
    ]
  },
  textFrame: (text) => frame('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  errorFrame: (type, message) => frame('error', { error: { type, message } }),
  whole: messageOf,
  errorBody: (status, message, type) => ({
    type: 'error',
    error: { type: type ?? errorTypes[status] ?? 'api_error', message },
    request_id: `req_${crypto.randomUUID()}`,
  }),
}
