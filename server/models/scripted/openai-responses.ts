import { argumentsOf, type Dialect, type Frame, slices, stopOf } from './frames.ts'
import { openaiErrorBody } from './openai-error.ts'
import type { Turn } from './script.ts'

type Item = { id: string; type: string } & Record<string, unknown>
type Event = { type: string } & Record<string, unknown>

function itemsOf(turn: Turn): Item[] {
  const items: Item[] = []
  if (turn.thinking !== undefined)
    items.push({
      id: `rs_${crypto.randomUUID()}`,
      type: 'reasoning',
      summary: [{ type: 'summary_text', text: turn.thinking }],
      encrypted_content: Buffer.from(`sealed:${turn.thinking}`).toString('base64'),
    })
  if (turn.text !== undefined)
    items.push({
      id: `msg_${crypto.randomUUID()}`,
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [
        stopOf(turn) === 'refusal'
          ? { type: 'refusal', refusal: turn.text }
          : { type: 'output_text', text: turn.text, annotations: [], logprobs: [] },
      ],
    })
  for (const call of turn.calls)
    items.push({
      id: `fc_${crypto.randomUUID()}`,
      type: 'function_call',
      status: 'completed',
      call_id: call.id ?? `call_${crypto.randomUUID()}`,
      name: call.name,
      arguments: argumentsOf(call),
    })
  return items
}

function responseOf(turn: Turn, model: string, output: Item[]): Record<string, unknown> {
  const { usage } = turn
  const input = usage.input + usage.cacheRead + usage.cacheWrite
  const incomplete = stopOf(turn) === 'max_tokens'
  return {
    id: `resp_${crypto.randomUUID()}`,
    object: 'response',
    created_at: 1,
    status: incomplete ? 'incomplete' : 'completed',
    error: null,
    incomplete_details: incomplete ? { reason: 'max_output_tokens' } : null,
    instructions: null,
    model,
    output,
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    metadata: {},
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + usage.output,
    },
  }
}

function partEvents(item: Item, turn: Turn, at: Record<string, unknown>): Event[] {
  const part = (item.content as Record<string, unknown>[])[0] ?? {}
  const refused = part.type === 'refusal'
  const kind = refused ? 'response.refusal' : 'response.output_text'
  const key = refused ? 'refusal' : 'text'
  const place = { ...at, content_index: 0 }
  return [
    { type: 'response.content_part.added', ...place, part: { ...part, [key]: '' } },
    ...[...slices(turn.text ?? '', turn.chunk)].map((delta) => ({
      type: `${kind}.delta`,
      ...place,
      delta,
      ...(refused ? {} : { logprobs: [] }),
    })),
    { type: `${kind}.done`, ...place, [key]: turn.text, ...(refused ? {} : { logprobs: [] }) },
    { type: 'response.content_part.done', ...place, part },
  ]
}

function reasoningEvents(turn: Turn, at: Record<string, unknown>): Event[] {
  const place = { ...at, summary_index: 0 }
  const text = turn.thinking ?? ''
  return [
    {
      type: 'response.reasoning_summary_part.added',
      ...place,
      part: { type: 'summary_text', text: '' },
    },
    ...[...slices(text, turn.chunk)].map((delta) => ({
      type: 'response.reasoning_summary_text.delta',
      ...place,
      delta,
    })),
    { type: 'response.reasoning_summary_text.done', ...place, text },
    { type: 'response.reasoning_summary_part.done', ...place, part: { type: 'summary_text', text } },
  ]
}

function callEvents(item: Item, turn: Turn, at: Record<string, unknown>): Event[] {
  const text = String(item.arguments)
  return [
    ...[...slices(text, turn.chunk)].map((delta) => ({
      type: 'response.function_call_arguments.delta',
      ...at,
      delta,
    })),
    { type: 'response.function_call_arguments.done', ...at, name: item.name, arguments: text },
  ]
}

/** What `response.output_item.added` shows of an item before its content has come. */
function begun(item: Item): Item {
  if (item.type === 'reasoning') return { ...item, summary: [], encrypted_content: '' }
  if (item.type === 'message') return { ...item, status: 'in_progress', content: [] }
  return { ...item, status: 'in_progress', arguments: '' }
}

function itemEvents(item: Item, output_index: number, turn: Turn): Event[] {
  const at = { item_id: item.id, output_index }
  const inner =
    item.type === 'reasoning'
      ? reasoningEvents(turn, at)
      : item.type === 'message'
        ? partEvents(item, turn, at)
        : callEvents(item, turn, at)
  return [
    { type: 'response.output_item.added', output_index, item: begun(item) },
    ...inner,
    { type: 'response.output_item.done', output_index, item },
  ]
}

const frameOf = (event: Event, sequence_number: number): Frame => ({
  event: event.type,
  data: JSON.stringify({ ...event, sequence_number }),
})

/** OpenAI Responses: https://platform.openai.com/docs/api-reference/responses-streaming */
export const responsesDialect: Dialect = {
  frames(turn, model) {
    const items = itemsOf(turn)
    const done = responseOf(turn, model, items)
    const open = { ...done, status: 'in_progress', output: [], usage: null, incomplete_details: null }
    const events: Event[] = [
      { type: 'response.created', response: open },
      { type: 'response.in_progress', response: open },
      ...items.flatMap((item, index) => itemEvents(item, index, turn)),
      {
        type: done.status === 'incomplete' ? 'response.incomplete' : 'response.completed',
        response: done,
      },
    ]
    return events.map(frameOf)
  },
  textFrame: (delta) =>
    frameOf(
      {
        type: 'response.output_text.delta',
        item_id: 'msg_0',
        output_index: 0,
        content_index: 0,
        delta,
        logprobs: [],
      },
      0,
    ),
  errorFrame: (code, message) => frameOf({ type: 'error', code, message, param: null }, 0),
  whole: (turn, model) => responseOf(turn, model, itemsOf(turn)),
  errorBody: openaiErrorBody,
}
