import type { Event, EventData } from '#core/event/event.ts'
import type {
  AssistantBlock,
  Message,
  StopReason,
  ToolCall,
  ToolResult,
  UserBlock,
} from '#core/model/message.ts'
import { answerWasCut, answerWasEmpty, checkDidNotPass } from './follow-up.ts'
import { toolNamed } from './tools/registry.ts'

export interface PendingCall {
  readonly call: ToolCall
  /** Its place among the calls of the turn, from 1. */
  readonly place: number
  /** It began and its end is not known. */
  readonly started: boolean
}

type Entry =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly content: AssistantBlock[] }

const isCall = (block: AssistantBlock): block is ToolCall => block.type === 'tool_call'
const isBlank = (block: AssistantBlock): boolean => block.type === 'text' && block.text.trim() === ''

/**
 * The conversation as the ledger has it. The loop builds its own by the same `apply` from the events that it
 * records, so a conversation that was rebuilt after a crash is the one that was under way.
 */
export class History {
  /** Number of the last model turn; 0 before the first. */
  turn = 0
  stop: StopReason | null = null
  /** The model's last text that was not blank. */
  lastText: string | null = null
  /** Answers without text and calls, one after the other. */
  emptyAnswers = 0
  /** How often a check was started. */
  checkAttempts = 0
  readonly checks: EventData<'check.finished'>[] = []
  /** Tool calls other than reading since the last check. */
  workSinceCheck = false

  readonly #entries: Entry[] = []
  readonly #started = new Set<string>()
  readonly #results = new Map<string, ToolResult>()
  #ended = false

  /** The model has nothing more to do by itself. */
  get ended(): boolean {
    return this.#ended
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** Every id that was used, so that no other call gets it. */
  get callIds(): ReadonlySet<string> {
    return new Set(this.#entries.flatMap((entry) => callsOf(entry).map(({ id }) => id)))
  }

  get pendingCalls(): PendingCall[] {
    const last = this.#entries.at(-1)
    if (last === undefined) return []
    return callsOf(last)
      .map((call, index) => ({ call, place: index + 1, started: this.#started.has(call.id) }))
      .filter(({ call }) => !this.#results.has(call.id))
  }

  /** For the next request. Only to be asked for when no call is pending. */
  get messages(): Message[] {
    const messages: Message[] = []
    const tell = (...content: UserBlock[]) => {
      const last = messages.at(-1)
      if (last?.role === 'user') last.content.push(...content)
      else messages.push({ role: 'user', content })
    }
    for (const entry of this.#entries) {
      if (entry.role === 'user') {
        tell({ type: 'text', text: entry.text })
        continue
      }
      messages.push({ role: 'assistant', content: entry.content })
      const results = callsOf(entry).flatMap(({ id }) => this.#results.get(id) ?? [])
      if (results.length > 0) tell(...results)
    }
    return messages
  }

  apply(event: Event): void {
    switch (event.type) {
      case 'message.user':
        this.#tell(event.data.text)
        break
      case 'message.assistant':
        this.#answer(event.data)
        break
      case 'tool.started':
        this.#started.add(event.data.call)
        break
      case 'tool.finished':
        this.#finish(event.data)
        break
      case 'check.started':
        this.checkAttempts = event.data.attempt
        break
      case 'check.finished':
        this.checks.push(event.data)
        this.workSinceCheck = false
        if (!event.data.passed) this.#tell(checkDidNotPass(event.data))
        break
      default:
    }
  }

  #tell(text: string): void {
    this.#entries.push({ role: 'user', text })
    this.#ended = false
  }

  #answer({ turn, content, stop }: EventData<'message.assistant'>): void {
    this.turn = turn
    this.stop = stop
    const calls = content.filter(isCall)
    const text = content
      .flatMap((block) => (block.type === 'text' ? block.text : []))
      .join('')
      .trim()
    if (text !== '') this.lastText = text
    if (calls.length === 0 && text === '' && stop !== 'refusal') {
      this.emptyAnswers += 1
      this.#tell(stop === 'max_tokens' ? answerWasCut() : answerWasEmpty())
      return
    }
    this.emptyAnswers = 0
    this.#ended = calls.length === 0
    // Providers refuse blank text blocks when they are given back.
    this.#entries.push({ role: 'assistant', content: content.filter((block) => !isBlank(block)) })
    if (calls.length === 0 && stop === 'max_tokens') this.#tell(answerWasCut())
  }

  #finish({ call, name, content, isError }: EventData<'tool.finished'>): void {
    this.#results.set(call, { type: 'tool_result', id: call, content, isError })
    if (toolNamed(name)?.readOnly === false) this.workSinceCheck = true
  }
}

const callsOf = (entry: Entry): ToolCall[] => (entry.role === 'assistant' ? entry.content.filter(isCall) : [])

/** From the events of one run, in their order. */
export function rebuildHistory(events: Iterable<Event>): History {
  const history = new History()
  for (const event of events) history.apply(event)
  return history
}
