import { ForgeError } from '#core/errors.ts'
import type { AssistantBlock } from '#core/model/message.ts'
import type { Tokens } from '#core/run/run.ts'
import type { ModelChunk } from '../provider.ts'
import { toolCallOf } from '../tool-call.ts'
import { type AnthropicUsage, anthropicTokens, StreamEvent, stopReason, streamEventTypes } from './wire.ts'

type Delta = Extract<ModelChunk, { kind: 'delta' }>
type Start = Extract<StreamEvent, { type: 'content_block_start' }>['content_block']
type Change = Extract<StreamEvent, { type: 'content_block_delta' }>['delta']

/** A block under construction. `json` is the text of a tool call's arguments. */
type Open =
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string; signature: string }
  | { type: 'redacted'; data: string }
  | { type: 'tool'; id: string; name: string; json: string }
  | { type: 'other' }

function opened(block: Start): Open {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text }
    case 'thinking':
      return { type: 'thinking', text: block.thinking, signature: block.signature ?? '' }
    case 'redacted_thinking':
      return { type: 'redacted', data: block.data }
    case 'tool_use': {
      // Some servers give the whole input here and no deltas.
      const whole = block.input ?? {}
      const json = typeof whole === 'object' && Object.keys(whole).length === 0 ? '' : JSON.stringify(whole)
      return { type: 'tool', id: block.id, name: block.name, json }
    }
    case 'other':
      return { type: 'other' }
  }
}

function closed(open: Open): AssistantBlock[] {
  switch (open.type) {
    case 'text':
      return open.text === '' ? [] : [{ type: 'text', text: open.text }]
    case 'thinking':
      return [
        {
          type: 'thinking',
          text: open.text,
          ...(open.signature === '' ? {} : { signature: open.signature }),
        },
      ]
    case 'redacted':
      return [{ type: 'thinking', text: '', redacted: open.data }]
    case 'tool':
      return [toolCallOf(open.id, open.name, open.json)]
    case 'other':
      return []
  }
}

function change(open: Open, delta: Change): Delta | null {
  if (open.type === 'text' && delta.type === 'text_delta') {
    open.text += delta.text
    return { kind: 'delta', of: 'text', text: delta.text }
  }
  if (open.type === 'thinking' && delta.type === 'thinking_delta') {
    open.text += delta.thinking
    return { kind: 'delta', of: 'thinking', text: delta.thinking }
  }
  if (open.type === 'thinking' && delta.type === 'signature_delta') open.signature += delta.signature
  if (open.type === 'tool' && delta.type === 'input_json_delta') open.json += delta.partial_json
  return null
}

/** Puts the events of one stream together. */
export class Answer {
  readonly #blocks = new Map<number, Open>()
  #usage: AnthropicUsage = {}
  #stop: string | null = null
  #complete = false

  /** True once `message_stop` has come. */
  get complete(): boolean {
    return this.#complete
  }

  /** Events of unknown types are ignored, as the API asks. Throws `model_unavailable` for a malformed one. */
  take(raw: unknown): Delta | null {
    const type = typeof raw === 'object' && raw !== null && 'type' in raw ? raw.type : undefined
    if (typeof type !== 'string' || !streamEventTypes.includes(type)) return null
    const parsed = StreamEvent.safeParse(raw)
    if (!parsed.success)
      throw new ForgeError('model_unavailable', `the model API sent a malformed ${type} event`)
    return this.#apply(parsed.data)
  }

  #apply(event: StreamEvent): Delta | null {
    switch (event.type) {
      case 'message_start':
        this.#usage = event.message.usage
        return null
      case 'content_block_start': {
        const open = opened(event.content_block)
        this.#blocks.set(event.index, open)
        return open.type === 'text' && open.text !== ''
          ? { kind: 'delta', of: 'text', text: open.text }
          : null
      }
      case 'content_block_delta': {
        const open = this.#blocks.get(event.index)
        return open ? change(open, event.delta) : null
      }
      case 'message_delta':
        this.#stop = event.delta.stop_reason ?? this.#stop
        // Totals, not increments; only those that are given replace the earlier ones.
        for (const [key, value] of Object.entries(event.usage ?? {}))
          if (value != null) this.#usage = { ...this.#usage, [key]: value }
        return null
      case 'message_stop':
        this.#complete = true
        return null
    }
  }

  get tokens(): Tokens {
    return anthropicTokens(this.#usage)
  }

  get content(): AssistantBlock[] {
    return [...this.#blocks.entries()].sort(([a], [b]) => a - b).flatMap(([, open]) => closed(open))
  }

  get stop() {
    return stopReason(this.#stop)
  }
}
