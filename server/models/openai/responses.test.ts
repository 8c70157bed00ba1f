import { describe, expect, it } from 'vitest'
import { sampleRequest } from '../conformance/collect.ts'
import { describeModelProvider } from '../conformance/conformance.ts'
import { builtInPrices } from '../prices.ts'
import { responsesProvider } from './responses.ts'
import { responsesBody } from './responses-wire.ts'

describeModelProvider({
  name: 'openai responses',
  keyVariable: 'OPENAI_API_KEY',
  givesReasoningBack: true,
  make: ({ url, apiKey, upstream, retry }) =>
    responsesProvider({
      model: 'gpt-5',
      apiKey,
      baseUrl: `${url}/v1`,
      prices: builtInPrices,
      upstream,
      retry,
      now: () => 0,
    }),
})

describe('openai responses, apart from what all providers do', () => {
  it('asks for encrypted reasoning where the model has any, and stores nothing', () => {
    expect(responsesBody('gpt-6.1-sol', sampleRequest)).toMatchObject({
      store: false,
      include: ['reasoning.encrypted_content'],
    })
    expect(responsesBody('gpt-4.1', sampleRequest)).not.toHaveProperty('include')
  })
})
