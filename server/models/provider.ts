import type { AssistantBlock, Message, ModelUsage, StopReason } from '#core/model/message.ts'

export interface ToolDefinition {
  readonly name: string
  readonly description: string
  /** JSON Schema of the input object. */
  readonly inputSchema: Record<string, unknown>
}

export interface ModelRequest {
  readonly system: string
  readonly messages: readonly Message[]
  readonly tools: readonly ToolDefinition[]
  readonly maxOutputTokens: number
}

export type ModelChunk =
  | { readonly kind: 'delta'; readonly of: 'text' | 'thinking'; readonly text: string }
  /** The attempt failed and will be tried again; what streamed since the request began is void. */
  | {
      readonly kind: 'retry'
      readonly attempt: number
      readonly delayMs: number
      readonly status: number | null
      readonly reason: string
    }
  /** Always the last. */
  | {
      readonly kind: 'finished'
      readonly content: AssistantBlock[]
      readonly stop: StopReason
      readonly usage: ModelUsage
    }

/** One model. Retries (429, 529, 5xx, cut streams) are its own business and show as `retry` chunks. */
export interface ModelProvider {
  /** `anthropic/NAME`, `openai/NAME`, `demo/scripted`. */
  readonly id: string
  /** Throws `model_unavailable` (unreachable, overloaded after all retries), `model_rejected` (credentials, bad request), `interrupted`. */
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelChunk>
}
