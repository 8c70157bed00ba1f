import { ForgeError } from '#core/errors.ts'
import type { AssistantBlock, StopReason } from '#core/model/message.ts'
import { noTokens, type Tokens } from '#core/run/run.ts'
import { costOf } from '../prices.ts'
import type { ModelChunk, ModelProvider } from '../provider.ts'
import { incomplete } from '../retry.ts'
import type { ProviderSetup } from '../setup.ts'
import { toolCallOf } from '../tool-call.ts'
import { ChatChunk, chatBody, chatStop, chatTokens } from './chat-wire.ts'
import { type Asked, openaiProvider } from './provider.ts'

type Delta = Extract<ModelChunk, { kind: 'delta' }>
type Call = { id: string; name: string; json: string }
type CallDelta = NonNullable<
  NonNullable<NonNullable<NonNullable<ChatChunk['choices']>[number]['delta']>['tool_calls']>[number]
>

/** Puts the chunks of one stream together. */
class Answer {
  #text = ''
  #thinking = ''
  readonly #calls = new Map<number, Call>()
  #finish: string | null = null
  #tokens: Tokens | null = null

  take(raw: unknown): Delta[] {
    const parsed = ChatChunk.safeParse(raw)
    if (!parsed.success) throw new ForgeError('model_unavailable', 'the model API sent a malformed chunk')
    if (parsed.data.usage) this.#tokens = chatTokens(parsed.data.usage)
    const choice = parsed.data.choices?.[0]
    if (!choice) return []
    this.#finish = choice.finish_reason ?? this.#finish
    for (const call of choice.delta?.tool_calls ?? []) this.#takeCall(call)
    const thinking = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? ''
    const text = choice.delta?.content ?? choice.delta?.refusal ?? ''
    this.#thinking += thinking
    this.#text += text
    return [
      ...(thinking === '' ? [] : [{ kind: 'delta' as const, of: 'thinking' as const, text: thinking }]),
      ...(text === '' ? [] : [{ kind: 'delta' as const, of: 'text' as const, text }]),
    ]
  }

  #takeCall(delta: CallDelta): void {
    // Some servers leave the index out and send every call whole.
    const index = delta.index ?? (delta.id ? this.#calls.size : this.#calls.size - 1)
    const call = this.#calls.get(index) ?? { id: '', name: '', json: '' }
    call.id ||= delta.id ?? ''
    call.name ||= delta.function?.name ?? ''
    call.json += delta.function?.arguments ?? ''
    this.#calls.set(index, call)
  }

  /** Null while no finish reason has come. */
  get finished(): { content: AssistantBlock[]; stop: StopReason; tokens: Tokens | null } | null {
    if (this.#finish === null) return null
    const calls = [...this.#calls.entries()].sort(([a], [b]) => a - b)
    const content: AssistantBlock[] = [
      ...(this.#thinking === '' ? [] : [{ type: 'thinking' as const, text: this.#thinking }]),
      ...(this.#text === '' ? [] : [{ type: 'text' as const, text: this.#text }]),
      ...calls.map(([index, call]) => toolCallOf(call.id || `call_${index}`, call.name, call.json)),
    ]
    // Some servers say `stop` although they call tools.
    const stop = this.#finish === 'stop' && calls.length > 0 ? 'tool_calls' : chatStop(this.#finish)
    return { content, stop, tokens: this.#tokens }
  }
}

async function* attempt({ client, setup, request, signal }: Asked): AsyncGenerator<ModelChunk> {
  const body = chatBody(setup, request)
  const chunks = await client.chat.completions.create(body, { signal })
  const answer = new Answer()
  for await (const chunk of chunks) yield* answer.take(chunk)
  const { finished } = answer
  if (finished === null) throw incomplete()
  const { content, stop, tokens } = finished
  // A server that does not count leaves the cost unknown rather than nought.
  const cost = tokens && costOf(setup.model, tokens, setup.prices)
  yield {
    kind: 'finished',
    content,
    stop,
    usage: { model: setup.model, tokens: tokens ?? noTokens, cost },
  }
}

/** OpenAI Chat Completions at `baseUrl`, as most OpenAI-compatible servers speak it. */
export const chatProvider = (setup: ProviderSetup): ModelProvider => openaiProvider(setup, attempt)
