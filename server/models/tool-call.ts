import type { ToolCall } from '#core/model/message.ts'

/** What is kept of arguments that cannot be parsed: enough to see what is wrong. */
const maxRaw = 64 * 1024

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `raw` is the JSON text as it streamed in; an empty text means no arguments. */
export function toolCallOf(id: string, name: string, raw: string): ToolCall {
  const call = { type: 'tool_call' as const, id, name }
  if (raw.trim() === '') return { ...call, input: {} }
  try {
    const input: unknown = JSON.parse(raw)
    if (isRecord(input)) return { ...call, input }
  } catch {
    // Falls through: what is no JSON is treated like JSON that is no object.
  }
  return { ...call, input: null, raw: raw.slice(0, maxRaw) }
}
