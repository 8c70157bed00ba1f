import { duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import type Anthropic from '@anthropic-ai/sdk'
import { describe, expect, it } from 'vitest'
import { Meter } from '../meter.ts'
import { bridge, hello, key, message, proxied, scripted, settled, turns, usage } from './conformance/world.ts'

describe('the model gateway with the real SDKs', () => {
  it('carries Anthropic Messages, streamed and whole', async () => {
    const { model, access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access })
    const stream = world.anthropic.messages.stream(message)
    expect(await stream.finalText()).toBe('Hello to you.')
    const whole = await world.anthropic.messages.create(message)
    expect(whole.content).toMatchObject([{ type: 'text', text: 'Hello to you.' }])
    await settled(world, 2)
    const cost = 0.001 + 0.001 + 0.0003
    expect(proxied(world)).toMatchObject([
      { api: 'anthropic.messages', status: 200, usage: { model: 'claude-haiku-4-5', tokens: usage } },
      { api: 'anthropic.messages', status: 200, usage: { tokens: usage } },
    ])
    expect(world.meter.cost).toBeCloseTo(2 * cost, 10)
    expect(world.meter.tokens.output).toBe(400)
    expect(model.requests.map((request) => request.headers.authorization)).toEqual([
      `Bearer ${key}`,
      `Bearer ${key}`,
    ])
    const count = await world.anthropic.messages.countTokens({ model: 'm', messages: hello })
    expect(count.input_tokens).toBeGreaterThan(0)
  })

  it('carries OpenAI Chat Completions and counts streams that did not ask for it', async () => {
    const { access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access })
    const body = { model: 'gpt-5', messages: hello }
    let said = ''
    for await (const chunk of await world.openai.chat.completions.create({ ...body, stream: true }))
      said += chunk.choices[0]?.delta.content ?? ''
    expect(said).toBe('Hello to you.')
    const whole = await world.openai.chat.completions.create(body)
    expect(whole.choices[0]?.message.content).toBe('Hello to you.')
    await settled(world, 2)
    expect(proxied(world)).toMatchObject([
      { api: 'openai.chat', usage: { tokens: usage } },
      { api: 'openai.chat', usage: { tokens: usage } },
    ])
  })

  it('carries OpenAI Responses', async () => {
    const { access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access })
    const stream = world.openai.responses.stream({ model: 'gpt-5', input: 'Hello' })
    expect((await stream.finalResponse()).output_text).toBe('Hello to you.')
    const whole = await world.openai.responses.create({ model: 'gpt-5', input: 'Hello' })
    expect(whole.output_text).toBe('Hello to you.')
    await settled(world, 2)
    expect(proxied(world)).toMatchObject([
      { api: 'openai.responses', usage: { tokens: usage } },
      { api: 'openai.responses', usage: { tokens: usage } },
    ])
  })

  it('lists models, of the API that is asked for', async () => {
    const { access } = await scripted({ turns })
    const world = await bridge({ access })
    expect((await world.openai.models.list()).data.map((model) => model.id)).toEqual(['one', 'two'])
    expect((await world.anthropic.models.list()).data.map((model) => model.id)).toEqual(['one', 'two'])
    expect(world.recorded).toEqual([])
  })

  it('works on a Duplex that is no socket', async () => {
    const { access } = await scripted({ turns })
    const world = await bridge({ access })
    const [inside, outside] = duplexPair()
    world.gateway.handle(outside)
    const body = JSON.stringify(message)
    inside.write(
      `POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    const answer = await text(inside)
    expect(answer).toMatch(/^HTTP\/1\.1 200/)
    expect(answer).toContain('Hello to you.')
  })

  it('passes an error of the API on as it is', async () => {
    const { access } = await scripted({
      turns: [{ fault: { kind: 'status', status: 529, retryAfter: '3', message: 'Overloaded' } }],
    })
    const world = await bridge({ access })
    const error = await world.anthropic.messages.create(message).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ status: 529, type: 'overloaded_error' })
    expect((error as InstanceType<typeof Anthropic.APIError>).headers?.get('retry-after')).toBe('3')
    await settled(world)
    expect(proxied(world)).toMatchObject([{ status: 529, usage: null }])
  })
})

describe('the budget of a run at the gateway', () => {
  it('refuses the request after the one that spent it', async () => {
    const { model, access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access, meter: new Meter({ maxTokens: 4000 }) })
    await world.anthropic.messages.stream(message).finalText()
    const error = await world.anthropic.messages.create(message).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ status: 402, type: 'billing_error' })
    const openai = await world.openai.responses.create({ model: 'm', input: 'x' }).catch((thrown) => thrown)
    expect(openai).toMatchObject({ status: 402, code: 'insufficient_quota' })
    expect(model.requests).toHaveLength(1)
    await settled(world, 3)
    expect(proxied(world)[1]).toMatchObject({
      status: 402,
      usage: null,
      reason: expect.stringContaining('4000'),
    })
  })

  it.each(['anthropic', 'chat', 'responses'])('counts before the client sees the end (%s)', async (api) => {
    // All events, and then a connection that stays open.
    const fault = { kind: 'silence' as const, afterEvents: 1000 }
    const { access } = await scripted({ turns: [{ text: 'Hello.', usage, fault }], repeatLast: true })
    const world = await bridge({ access, meter: new Meter({ maxTokens: 10 }) })
    const paths: Record<string, string> = { anthropic: 'messages', chat: 'chat/completions' }
    const body = { ...message, stream: true }
    const ends = /message_stop|\[DONE\]|"response.completed"/
    const client = await fetch(`${world.url}/v1/${paths[api] ?? 'responses'}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    let seen = ''
    for await (const chunk of client.body ?? []) {
      seen += Buffer.from(chunk).toString()
      if (ends.test(seen)) break
    }
    expect(world.meter.tokens).toEqual(usage)
    expect((await world.get('/v1/messages', { method: 'POST', body })).status).toBe(402)
  })

  it('counts what a client used that went away in the middle', async () => {
    const { access } = await scripted({ turns: [{ text: 'x'.repeat(500_000), usage, chunk: 100 }] })
    const world = await bridge({ access })
    const stream = await world.anthropic.messages.create({ ...message, stream: true })
    for await (const _event of stream) break
    await settled(world)
    expect(proxied(world)).toMatchObject([{ status: 200, usage: { tokens: usage } }])
    expect(world.meter.tokens.output).toBe(200)
  })

  it('counts what is known when the API breaks off', async () => {
    const { access } = await scripted({
      turns: [{ text: 'Hello to you.', usage, fault: { kind: 'cut', afterEvents: 4 } }],
    })
    const world = await bridge({ access })
    await world.anthropic.messages
      .stream(message)
      .finalText()
      .catch(() => {})
    await settled(world)
    expect(proxied(world)).toMatchObject([{ usage: { tokens: { input: 1000, cacheRead: 3000 } } }])
    expect(world.meter.tokens.input).toBe(1000)
  })

  it('lets no model of unknown price through where the cost is limited', async () => {
    const { model, access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access, pricedOnly: true })
    const body = { ...message, model: 'mystery' }
    expect((await world.get('/v1/messages', { method: 'POST', body })).status).toBe(402)
    expect((await world.get('/v1/messages', { method: 'POST', body: message })).status).toBe(200)
    expect(model.requests).toHaveLength(1)
  })

  it('lets nothing more through once an event could not be recorded', async () => {
    const { access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access, record: () => Promise.reject(new Error('disk full')) })
    expect((await world.get('/v1/messages', { method: 'POST', body: message })).status).toBe(200)
    let status = 200
    while (status === 200)
      status = (await world.get('/v1/messages', { method: 'POST', body: message })).status
    expect(status).toBe(503)
  })
})

describe('closing the gateway', () => {
  it('ends what is under way, records it, and takes nothing new', async () => {
    const { access } = await scripted({ turns: [{ text: 'x', fault: { kind: 'endless' } }] })
    const world = await bridge({ access })
    const stream = await world.anthropic.messages.create({ ...message, stream: true })
    const reading = (async () => {
      for await (const _event of stream);
    })().catch((thrown: unknown) => thrown)
    await new Promise((resolve) => setTimeout(resolve, 20))
    await world.gateway.close()
    expect(await reading).toBeInstanceOf(Error)
    expect(world.recorded).toHaveLength(1)
    await expect(world.get('/v1/models')).rejects.toThrow()
  })
})
