import { afterEach, describe, expect, it } from 'vitest'
import { collect, instantRetries, sampleRequest } from '../conformance/collect.ts'
import { describeModelProvider } from '../conformance/conformance.ts'
import { builtInPrices } from '../prices.ts'
import { startScriptedModel } from '../scripted/server.ts'
import { makeUpstream } from '../upstream.ts'
import { anthropicProvider } from './provider.ts'
import { requestBody } from './wire.ts'

describeModelProvider({
  name: 'anthropic',
  keyVariable: 'ANTHROPIC_API_KEY',
  givesReasoningBack: true,
  make: ({ url, apiKey, upstream, retry }) =>
    anthropicProvider({
      model: 'claude-sonnet-4-6',
      apiKey,
      baseUrl: url,
      prices: builtInPrices,
      upstream,
      retry,
      now: () => 0,
    }),
})

describe('anthropic, apart from what all providers do', () => {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })

  it('sets the four cache breakpoints: system, last tool, the last two user messages', () => {
    const user = (text: string) => ({ role: 'user' as const, content: [{ type: 'text' as const, text }] })
    const said = { role: 'assistant' as const, content: [{ type: 'text' as const, text: 'Yes.' }] }
    const body = requestBody('m', {
      ...sampleRequest,
      messages: [user('one'), said, user('two'), said, user('three')],
    })
    const marks = (JSON.stringify(body).match(/cache_control/g) ?? []).length
    expect(marks).toBe(4)
    expect(body.messages.map((message) => JSON.stringify(message).includes('cache_control'))).toEqual([
      false,
      false,
      true,
      false,
      true,
    ])
  })

  it('leaves out what the API would refuse: empty text, thinking without a signature', () => {
    const body = requestBody('m', {
      ...sampleRequest,
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'one' }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', text: 'unsigned' },
            { type: 'thinking', text: '', redacted: 'opaque' },
            { type: 'text', text: '' },
            { type: 'tool_call', id: 'a', name: 'shell', input: null, raw: '{' },
          ],
        },
      ],
    })
    expect(body.messages[1]?.content).toEqual([
      { type: 'redacted_thinking', data: 'opaque' },
      { type: 'tool_use', id: 'a', name: 'shell', input: {} },
    ])
  })

  it('knows the cost, and sends no credentials where there are none', async () => {
    const model = await startScriptedModel({
      turns: [{ text: 'x', usage: { input: 1000, output: 100, cacheRead: 10_000, cacheWrite: 2000 } }],
    })
    const upstream = makeUpstream()
    open.push(upstream, model)
    const provider = anthropicProvider({
      model: 'claude-sonnet-4-6',
      apiKey: undefined,
      baseUrl: model.url,
      prices: builtInPrices,
      upstream,
      retry: instantRetries(),
      now: () => 0,
    })
    const { finished } = await collect(provider)
    expect(finished?.usage.cost).toBeCloseTo(0.003 + 0.0015 + 0.003 + 0.0075, 10)
    expect(model.requests[0]?.headers).not.toHaveProperty('authorization')
    expect(model.requests[0]?.headers).not.toHaveProperty('x-api-key')
  })
})
