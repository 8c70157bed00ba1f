import type { Turn } from './script.ts'

/** One server-sent event. */
export interface Frame {
  readonly event?: string
  readonly data: string
}

export const encodeFrame = (frame: Frame): string =>
  `${frame.event === undefined ? '' : `event: ${frame.event}\n`}data: ${frame.data}\n\n`

/** How one API words an answer. */
export interface Dialect {
  frames(turn: Turn, model: string): Frame[]
  /** A text event in the middle of a stream, for the faults that need one. */
  textFrame(text: string): Frame
  errorFrame(type: string, message: string): Frame
  /** The answer to a request that does not stream. */
  whole(turn: Turn, model: string): Record<string, unknown>
  errorBody(status: number, message: string, type?: string): Record<string, unknown>
}

export function* slices(text: string, size: number): Generator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
}

export const stopOf = (turn: Turn): 'end' | 'tool_calls' | 'max_tokens' | 'refusal' =>
  turn.stop ?? (turn.calls.length > 0 ? 'tool_calls' : 'end')

export const argumentsOf = (call: Turn['calls'][number]): string =>
  call.rawInput ?? JSON.stringify(call.input)
