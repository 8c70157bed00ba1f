import { ForgeError } from '#core/errors.ts'
import type { AssistantBlock, StopReason } from '#core/model/message.ts'
import { noTokens, type Tokens } from '#core/run/run.ts'
import { costOf } from '../prices.ts'
import type { ModelChunk, ModelProvider } from '../provider.ts'
import { incomplete } from '../retry.ts'
import type { ProviderSetup } from '../setup.ts'
import { type Asked, openaiProvider } from './provider.ts'
import {
  blocksOf,
  ResponsesEvent,
  responsesBody,
  responsesEventTypes,
  responsesTokens,
} from './responses-wire.ts'

type Delta = Extract<ModelChunk, { kind: 'delta' }>

/** Puts the events of one stream together. */
class Answer {
  readonly content: AssistantBlock[] = []
  tokens: Tokens = noTokens
  #refused = false
  #end: { incomplete: string | null } | null = null

  get complete(): boolean {
    return this.#end !== null
  }

  get stop(): StopReason {
    if (this.#end?.incomplete === 'content_filter' || this.#refused) return 'refusal'
    if (this.#end?.incomplete) return 'max_tokens'
    return this.content.some((block) => block.type === 'tool_call') ? 'tool_calls' : 'end'
  }

  take(raw: unknown): Delta | null {
    const type = typeof raw === 'object' && raw !== null && 'type' in raw ? raw.type : undefined
    if (typeof type !== 'string' || !responsesEventTypes.includes(type)) return null
    const parsed = ResponsesEvent.safeParse(raw)
    if (!parsed.success)
      throw new ForgeError('model_unavailable', `the model API sent a malformed ${type} event`)
    return this.#apply(parsed.data)
  }

  #apply(event: ResponsesEvent): Delta | null {
    switch (event.type) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        return { kind: 'delta', of: 'text', text: event.delta }
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return { kind: 'delta', of: 'thinking', text: event.delta }
      case 'response.output_item.done': {
        const { blocks, refused } = blocksOf(event.item)
        this.content.push(...blocks)
        this.#refused ||= refused
        return null
      }
      case 'response.failed': {
        const { code, message } = event.response.error ?? {}
        const said = `the model API gave up: ${code ?? 'failed'}: ${message ?? 'without a reason'}`
        const lasting = code != null && !['server_error', 'rate_limit_exceeded'].includes(code)
        throw new ForgeError(lasting ? 'model_rejected' : 'model_unavailable', said)
      }
      case 'response.completed':
      case 'response.incomplete':
        if (event.response.usage) this.tokens = responsesTokens(event.response.usage)
        this.#end = {
          incomplete:
            event.type === 'response.incomplete'
              ? (event.response.incomplete_details?.reason ?? 'unknown')
              : null,
        }
        return null
    }
  }
}

async function* attempt({ client, setup, request, signal }: Asked): AsyncGenerator<ModelChunk> {
  const body = responsesBody(setup.model, request)
  const events = await client.responses.create(body, { signal })
  const answer = new Answer()
  for await (const event of events) {
    const delta = answer.take(event)
    if (delta) yield delta
    if (answer.complete) break
  }
  if (!answer.complete) throw incomplete()
  const { content, stop, tokens } = answer
  const cost = costOf(setup.model, tokens, setup.prices)
  yield { kind: 'finished', content, stop, usage: { model: setup.model, tokens, cost } }
}

/** OpenAI Responses at `baseUrl`. */
export const responsesProvider = (setup: ProviderSetup): ModelProvider => openaiProvider(setup, attempt)
