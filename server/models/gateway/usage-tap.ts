import { z } from 'zod'
import type { Tokens } from '#core/run/run.ts'
import { AnthropicUsage, anthropicTokens } from '../anthropic/wire.ts'
import { ChatUsage, chatTokens } from '../openai/chat-wire.ts'
import { ResponsesUsage, responsesTokens } from '../openai/responses-wire.ts'
import type { ProxiedApi } from './routes.ts'

/** Reads the token counts out of a response as it passes by. */
interface UsageTap {
  push(chunk: Buffer): void
  end(): void
  /** Null until the response has told something. */
  readonly tokens: Tokens | null
  /** The response has told all that it will. */
  readonly final: boolean
}

/** The counts that an event tells, each time all of them. */
type Reader = (event: unknown) => Tokens | null

const AnthropicEvent = z.object({
  message: z.object({ usage: AnthropicUsage }).optional(),
  usage: AnthropicUsage.optional(),
})

/** The first event has the input's counts and the last the output's; each replaces what came before. */
function anthropicReader(): Reader {
  let usage: z.infer<typeof AnthropicUsage> = {}
  return (event) => {
    const parsed = AnthropicEvent.safeParse(event)
    if (!parsed.success) return null
    const told = parsed.data.message?.usage ?? parsed.data.usage
    if (!told) return null
    for (const [name, count] of Object.entries(told)) if (count != null) usage = { ...usage, [name]: count }
    return anthropicTokens(usage)
  }
}

const ChatEvent = z.object({ usage: ChatUsage })
const chatReader: Reader = (event) => {
  const parsed = ChatEvent.safeParse(event)
  return parsed.success ? chatTokens(parsed.data.usage) : null
}

const ResponsesEvent = z.object({ response: z.object({ usage: ResponsesUsage }) })
const ResponsesWhole = z.object({ usage: ResponsesUsage })
const responsesReader: Reader = (event) => {
  const streamed = ResponsesEvent.safeParse(event)
  const whole = ResponsesWhole.safeParse(event)
  const usage = streamed.success ? streamed.data.response.usage : whole.success ? whole.data.usage : null
  return usage && responsesTokens(usage)
}

const readers: Record<ProxiedApi, () => Reader> = {
  'anthropic.messages': anthropicReader,
  'openai.chat': () => chatReader,
  'openai.responses': () => responsesReader,
}

/** What the last event of a stream has in it, and no earlier one: counts may come several times before. */
const lastEvent: Record<ProxiedApi, RegExp> = {
  'anthropic.messages': /^\s*\{\s*"type"\s*:\s*"message_stop"/,
  'openai.chat': /^\s*\[DONE\]/,
  'openai.responses': /"type"\s*:\s*"response\.(completed|incomplete|failed)"/,
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** `streamed`: the response is server-sent events; else it is one JSON document. The upstream bounds its size. */
export function usageTap(api: ProxiedApi, streamed: boolean): UsageTap {
  const read = readers[api]()
  const pending: Buffer[] = []
  let tokens: Tokens | null = null
  let final = false

  const take = (text: string) => {
    if (text.includes('"usage"')) tokens = read(parse(text)) ?? tokens
    final ||= streamed && lastEvent[api].test(text)
  }
  const takeLine = (line: string) => {
    if (line.startsWith('data:')) take(line.slice(5))
  }
  const takePending = (rest: Buffer): string => {
    const text = Buffer.concat([...pending, rest]).toString('utf8')
    pending.length = 0
    return text
  }
  return {
    push: (chunk) => {
      let start = 0
      if (streamed)
        for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
          takeLine(takePending(chunk.subarray(start, end)))
          start = end + 1
        }
      if (start < chunk.length) pending.push(chunk.subarray(start))
    },
    end: () => {
      const rest = takePending(Buffer.alloc(0))
      if (streamed) takeLine(rest)
      else take(rest)
    },
    get tokens() {
      return tokens
    },
    get final() {
      return final
    },
  }
}
