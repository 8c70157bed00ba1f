import { describe, expect, it } from 'vitest'
import { sampleRequest } from '../conformance/collect.ts'
import { describeModelProvider } from '../conformance/conformance.ts'
import { builtInPrices } from '../prices.ts'
import { chatProvider } from './chat.ts'
import { chatBody } from './chat-wire.ts'
import { openaiBaseUrl } from './endpoint.ts'

describeModelProvider({
  name: 'openai chat',
  keyVariable: 'OPENAI_API_KEY',
  givesReasoningBack: false,
  make: ({ url, apiKey, upstream, retry }) =>
    chatProvider({
      model: 'gpt-5',
      apiKey,
      baseUrl: `${url}/v1`,
      prices: builtInPrices,
      upstream,
      retry,
      now: () => 0,
    }),
})

describe('openai chat, apart from what all providers do', () => {
  it('names the output limit as the server wants it', () => {
    const theirs = chatBody({ model: 'm', baseUrl: openaiBaseUrl }, sampleRequest)
    expect(theirs).toMatchObject({ max_completion_tokens: 1000 })
    expect(theirs).not.toHaveProperty('max_tokens')
    expect(chatBody({ model: 'm', baseUrl: 'http://127.0.0.1:1/v1' }, sampleRequest)).toMatchObject({
      max_tokens: 1000,
    })
  })

  it('puts results before the text of the same message', () => {
    const body = chatBody(
      { model: 'm', baseUrl: openaiBaseUrl },
      {
        ...sampleRequest,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'And then?' },
              { type: 'tool_result', id: 'a', content: 'ok', isError: false },
            ],
          },
        ],
      },
    )
    expect(body.messages.map((message) => message.role)).toEqual(['system', 'tool', 'user'])
  })
})
