import { once } from 'node:events'
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { Event, type EventDraft } from '#core/event/event.ts'
import type { FamilyAccess } from '../access.ts'
import { Meter } from '../meter.ts'
import { builtInPrices } from '../prices.ts'
import type { ReactiveScript, ScriptInput } from '../scripted/script.ts'
import { startScriptedModel } from '../scripted/server.ts'
import { makeUpstream } from '../upstream.ts'
import { type GatewayOptions, modelGateway } from './gateway.ts'

const key = 'sk-the-servers-own-key'
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

const eventOf = (draft: EventDraft): Event =>
  Event.parse({ ...draft, run: 'run_0123456789', seq: 1, at: '2026-01-01T00:00:00.000Z' })

interface World {
  readonly url: string
  readonly anthropic: Anthropic
  readonly openai: OpenAI
  readonly meter: Meter
  readonly recorded: EventDraft[]
  readonly gateway: ReturnType<typeof modelGateway>
  readonly get: (path: string, options?: Asked) => Promise<Answered>
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
}
interface Answered {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A plain HTTP request that goes out exactly as it is written here. */
async function ask(port: number, path: string, { method = 'GET', headers, body }: Asked = {}) {
  const outgoing = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false })
  outgoing.on('error', () => {})
  outgoing.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}

async function bridge(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'access'>): Promise<World> {
  const upstream = makeUpstream()
  const meter = options.meter ?? new Meter({})
  const recorded: EventDraft[] = []
  const record = async (draft: EventDraft) => {
    recorded.push(draft)
    return eventOf(draft)
  }
  const gateway = modelGateway({
    upstream,
    prices: builtInPrices,
    meter,
    record,
    now: () => performance.now(),
    ...options,
  })
  const server = createServer((socket) => gateway.handle(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  open.push(
    () => upstream.close(),
    () => gateway.close(),
    () => server.close(),
  )
  return {
    url,
    meter,
    recorded,
    gateway,
    anthropic: new Anthropic({ apiKey: 'forge-gateway', baseURL: url, maxRetries: 0 }),
    openai: new OpenAI({ apiKey: 'forge-gateway', baseURL: `${url}/v1`, maxRetries: 0 }),
    get: (path, asked) => ask(port, path, asked),
  }
}

async function scripted(script: ScriptInput | ReactiveScript) {
  const model = await startScriptedModel(script, { models: ['one', 'two'] })
  open.push(() => model.close())
  const access = {
    anthropic: { apiKey: key, baseUrl: model.url },
    openai: { apiKey: key, baseUrl: `${model.url}/v1` },
  }
  return { model, access }
}

/** An upstream that answers with whatever it is told, and sees the raw request. */
async function upstreamOf(answer: (request: IncomingMessage, body: string) => [number, object, string]) {
  const server = createHttpServer((request, response) => {
    void text(request).then((body) => {
      const [status, headers, content] = answer(request, body)
      response.writeHead(status, { ...headers })
      response.end(content)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const both: FamilyAccess = { apiKey: key, baseUrl: `http://127.0.0.1:${port}` }
  return { access: { anthropic: both, openai: both } }
}

const hello = [{ role: 'user' as const, content: 'Hello' }]
const message = { model: 'claude-haiku-4-5', max_tokens: 100, messages: hello }
const usage = { input: 1000, output: 200, cacheRead: 3000, cacheWrite: 0 }
const turns = [{ text: 'Hello to you.', usage, chunk: 4 }]
const proxied = (world: World) => world.recorded.map((draft) => draft.data)
/** The event follows the answer. */
const settled = async (world: World, count = 1) => {
  while (world.recorded.length < count) await new Promise(setImmediate)
}

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

describe('what passes the gateway', () => {
  it.each([
    ['GET', '/', 404],
    ['POST', '/v1/files', 404],
    ['GET', '/v1/messages', 405],
    ['DELETE', '/v1/models/one', 405],
    ['POST', '/v1/models', 405],
    ['POST', '/v1/messages/batches', 404],
    ['POST', '/v1/messages/../files', 404],
    ['POST', '/v1/messages%2f', 404],
    ['POST', '//v1/messages', 404],
    ['GET', '/v1/models/..', 404],
    ['GET', '/v1/models/%2e%2e/files', 404],
    ['POST', 'http://elsewhere.example/v1/messages', 404],
    ['POST', '/v1/constructor', 404],
  ])('%s %s is answered with %i', async (method, path, status) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const answer = await world.get(path, { method, headers: { 'content-length': '0' } })
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toHaveProperty('error.message')
    expect(model.requests).toHaveLength(0)
  })

  it('drops the client’s credentials, cookies and hop-by-hop headers and adds the server’s key', async () => {
    let seen: IncomingMessage | undefined
    const { access } = await upstreamOf((request) => {
      seen = request
      return [200, { 'content-type': 'application/json', 'set-cookie': 'a=b', 'x-inner': 'y' }, '{}']
    })
    const world = await bridge({ access })
    const answer = await world.get('/v1/messages?beta=true&x=y', {
      method: 'POST',
      headers: {
        authorization: 'Bearer mine',
        'x-api-key': 'mine',
        'api-key': 'mine',
        'proxy-authorization': 'Basic mine',
        cookie: 'mine=1',
        'openai-organization': 'mine',
        'openai-project': 'mine',
        'x-forwarded-for': 'mine',
        te: 'trailers',
        'accept-encoding': 'gzip',
        'anthropic-version': '2023-06-01',
        'anthropic-beta': 'some-beta',
      },
      body: message,
    })
    expect(answer.status).toBe(200)
    expect(seen?.url).toBe('/v1/messages?beta=true')
    expect(JSON.stringify(seen?.headers)).not.toContain('mine')
    expect(seen?.headers).toMatchObject({
      authorization: `Bearer ${key}`,
      'x-api-key': key,
      'accept-encoding': 'identity',
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'some-beta',
    })
    expect(seen?.headers).not.toHaveProperty('te')
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect(answer.headers).not.toHaveProperty('x-inner')
  })

  it.each(['application/json', 'text/event-stream'])(
    'never returns the key, though the upstream echoes it (%s)',
    async (type) => {
      const { access } = await upstreamOf((request) => [
        200,
        { 'content-type': type, 'x-request-id': `for ${key}` },
        `data: ${JSON.stringify(request.headers)} ${'x'.repeat(70_000)}${key}${key}${key.slice(0, 9)}\n\n`,
      ])
      const world = await bridge({ access })
      for (const path of ['/v1/messages', '/v1/chat/completions', '/v1/responses']) {
        const answer = await world.get(path, { method: 'POST', body: message })
        expect(answer.body.slice(0, 500)).toContain('accept-encoding')
        expect(answer.body.includes(key)).toBe(false)
        expect(answer.body.endsWith(`${key.slice(0, 9)}\n\n`)).toBe(true)
        expect(JSON.stringify(answer.headers)).not.toContain(key)
      }
      expect(JSON.stringify(world.recorded)).not.toContain(key)
    },
  )

  it('names the upstream that cannot be reached, without what is secret in its URL', async () => {
    const world = await bridge({
      access: { anthropic: { apiKey: key, baseUrl: 'http://user:hunter2@127.0.0.1:1' }, openai: null },
    })
    const answer = await world.get('/v1/messages', { method: 'POST', body: message })
    expect(answer.status).toBe(502)
    expect(answer.body).toContain('http://127.0.0.1:1')
    expect(answer.body).not.toContain('hunter2')
    expect(proxied(world)).toMatchObject([{ status: 502, usage: null }])
  })

  it('does not follow or pass on redirects', async () => {
    const { access } = await upstreamOf(() => [307, { location: 'http://elsewhere.example/' }, ''])
    const world = await bridge({ access })
    const answer = await world.get('/v1/messages', { method: 'POST', body: message })
    expect(answer.status).toBe(502)
    expect(answer.headers).not.toHaveProperty('location')
  })

  it('is closed without credentials, and says so in the API’s format', async () => {
    const world = await bridge({ access: { anthropic: null, openai: null } })
    const anthropic = await world.anthropic.messages.create(message).catch((thrown: unknown) => thrown)
    expect(anthropic).toMatchObject({ status: 503, type: 'api_error' })
    const openai = await world.openai.responses.create({ model: 'm', input: 'x' }).catch((thrown) => thrown)
    expect(openai).toMatchObject({
      status: 503,
      message: expect.stringContaining('no credentials for openai'),
    })
  })

  it.each([
    ['no JSON', '{"model": "m"', 400],
    ['no object', '[]', 400],
    ['no model', '{}', 400],
    ['too large', JSON.stringify({ ...message, pad: 'x'.repeat(2000) }), 413],
  ])('refuses a body that is %s', async (_what, body, status) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access, maxBodyBytes: 1000 })
    expect((await world.get('/v1/messages', { method: 'POST', body })).status).toBe(status)
    expect(model.requests).toHaveLength(0)
    const chunked = await world.get('/v1/messages', {
      method: 'POST',
      body,
      headers: { 'transfer-encoding': 'chunked' },
    })
    expect(chunked.status).toBe(status)
    expect(model.requests).toHaveLength(0)
  })

  it('refuses a compressed body and headers without end', async () => {
    const { access } = await scripted({ turns })
    const world = await bridge({ access })
    const zipped = { method: 'POST', body: message, headers: { 'content-encoding': 'gzip' } }
    expect((await world.get('/v1/messages', zipped)).status).toBe(415)
    const [inside, outside] = duplexPair()
    world.gateway.handle(outside)
    inside.on('error', () => {})
    inside.write(`POST /v1/messages HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`)
    inside.resume()
    await once(inside, 'end')
  })

  it('lets no more than so many requests through at once', async () => {
    const { access } = await scripted({ turns: [{ fault: { kind: 'silence' } }], repeatLast: true })
    const world = await bridge({ access, maxConcurrent: 1 })
    void world.get('/v1/messages', { method: 'POST', body: message }).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await world.get('/v1/messages', { method: 'POST', body: message })).status).toBe(429)
  })
})

describe('what the model API may not do for a sandbox', () => {
  it.each([
    ['/v1/messages', { mcp_servers: [{ type: 'url', url: 'https://x.example', name: 'x' }] }],
    [
      '/v1/messages',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'image', source: { type: 'url', url: 'https://x.example/?data' } }],
          },
        ],
      },
    ],
    ['/v1/chat/completions', { web_search_options: {} }],
    [
      '/v1/chat/completions',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.example' } }] },
        ],
      },
    ],
    ['/v1/responses', { background: true }],
    [
      '/v1/responses',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://x.example' }] }] },
    ],
  ])('%s with %j is refused', async (path, extra) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const answer = await world.get(path, { method: 'POST', body: { ...message, ...extra } })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('egress policy')
    expect(model.requests).toHaveLength(0)
  })

  it('takes out tools that the API would run, and leaves those of the client', async () => {
    const { model, access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access })
    const mine = { name: 'shell', input_schema: { type: 'object' } }
    const bash = { type: 'bash_20250124', name: 'bash' }
    const search = { type: 'web_search_20250305', name: 'web_search' }
    await world.get('/v1/messages', {
      method: 'POST',
      body: { ...message, tools: [mine, bash, search], tool_choice: { type: 'auto' } },
    })
    expect(model.requests[0]?.body.tools).toEqual([mine, bash])
    await world.get('/v1/responses', {
      method: 'POST',
      body: {
        model: 'm',
        input: 'x',
        tools: [{ type: 'mcp', server_url: 'https://x.example' }],
        tool_choice: 'auto',
      },
    })
    expect(model.requests[1]?.body).not.toHaveProperty('tools')
    expect(model.requests[1]?.body).not.toHaveProperty('tool_choice')
  })

  it('lets URLs pass that are only data', async () => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const messages = [
      { role: 'user', content: 'look at https://x.example' },
      {
        role: 'assistant',
        content: [{ type: 'tool_use', id: 'a', name: 'fetch', input: { url: 'https://x.example' } }],
      },
    ]
    await world.get('/v1/messages', { method: 'POST', body: { ...message, messages } })
    expect(model.requests).toHaveLength(1)
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
