import type { Message, ToolResult } from '#core/model/message.ts'
import type { ModelRequest } from '../models/provider.ts'
import type { History } from './history.ts'
import type { AgentOptions } from './options.ts'
import { renderPrompt } from './prompts.ts'
import systemPrompt from './system.liquid'
import { thousands } from './tools/output.ts'
import { tools } from './tools/registry.ts'

/** About 140,000 tokens: room for an answer in a context of 200,000. */
const defaultMaxChars = 500_000

/** After shortening the conversation has this share of the limit, so that its beginning then stays the same for many turns and the provider's prompt cache holds. */
const target = 0.6

const keptOfShortened = 400
const worthShortening = 1500

/** Makes the requests of one run. The ledger keeps every tool result whole; only what is sent gets shorter. */
export class Requests {
  readonly #system: string
  readonly #maxOutputTokens: number
  readonly #shortened = new Set<string>()
  #maxChars: number

  constructor(options: AgentOptions) {
    this.#system = systemText(options)
    this.#maxOutputTokens = options.maxOutputTokens
    this.#maxChars = options.maxRequestChars ?? defaultMaxChars
  }

  next(history: History): ModelRequest {
    const { messages } = history
    this.#fit(messages)
    return {
      system: this.#system,
      messages: messages.map((message) => this.#asSent(message)),
      tools: tools.map(({ definition }) => definition),
      maxOutputTokens: this.#maxOutputTokens,
    }
  }

  /** The model said that the last request was too long. False: nothing is left that could be shortened. */
  tighten(history: History): boolean {
    const before = this.#shortened.size
    this.#maxChars = Math.floor(this.#size(history.messages) * target)
    this.#fit(history.messages)
    return this.#shortened.size > before
  }

  /** The oldest results go first; those of the last turn only when all others were not enough. */
  #fit(messages: readonly Message[]): void {
    let size = this.#size(messages)
    if (size <= this.#maxChars) return
    const results = messages.flatMap(({ content }) => content.filter((block) => block.type === 'tool_result'))
    for (const result of results) {
      if (size <= this.#maxChars * target) return
      if (this.#shortened.has(result.id) || result.content.length < worthShortening) continue
      this.#shortened.add(result.id)
      size -= result.content.length - shorter(result).content.length
    }
  }

  #asSent(message: Message): Message {
    if (message.role === 'assistant') return message
    const content = message.content.map((block) =>
      block.type === 'tool_result' && this.#shortened.has(block.id) ? shorter(block) : block,
    )
    return { role: 'user', content }
  }

  #size(messages: readonly Message[]): number {
    return messages.reduce((sum, message) => sum + JSON.stringify(this.#asSent(message)).length, 0)
  }
}

function shorter(result: ToolResult): ToolResult {
  const { content } = result
  const start = content.slice(0, keptOfShortened / 2).toWellFormed()
  const end = content.slice(-keptOfShortened / 2).toWellFormed()
  const note = `[… shortened to save room: ${thousands(content.length)} characters; call the tool again if you need them …]`
  return { ...result, content: `${start}\n${note}\n${end}` }
}

function systemText(options: AgentOptions): string {
  return renderPrompt(systemPrompt, {
    workdir: options.workdir,
    allow: options.allow,
    max_turns: options.limits.maxTurns,
    check: options.check ?? null,
    instructions: options.instructions.files,
    nested: options.instructions.nested,
  })
}
