import { once } from 'node:events'
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach } from 'vitest'
import { Event, type EventDraft } from '#core/event/event.ts'
import type { FamilyAccess } from '../../access.ts'
import { Meter } from '../../meter.ts'
import { builtInPrices } from '../../prices.ts'
import type { ReactiveScript, ScriptInput } from '../../scripted/script.ts'
import { startScriptedModel } from '../../scripted/server.ts'
import { makeUpstream } from '../../upstream.ts'
import { type GatewayOptions, modelGateway } from '../gateway.ts'

export const key = 'sk-the-servers-own-key'
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

const eventOf = (draft: EventDraft): Event =>
  Event.parse({ ...draft, run: 'run_0123456789', seq: 1, at: '2026-01-01T00:00:00.000Z' })

export interface World {
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

export async function bridge(
  options: Partial<GatewayOptions> & Pick<GatewayOptions, 'access'>,
): Promise<World> {
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

export async function scripted(script: ScriptInput | ReactiveScript) {
  const model = await startScriptedModel(script, { models: ['one', 'two'] })
  open.push(() => model.close())
  const access = {
    anthropic: { apiKey: key, baseUrl: model.url },
    openai: { apiKey: key, baseUrl: `${model.url}/v1` },
  }
  return { model, access }
}

/** An upstream that answers with whatever it is told, and sees the raw request. */
export async function upstreamOf(
  answer: (request: IncomingMessage, body: string) => [number, object, string],
) {
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

export const hello = [{ role: 'user' as const, content: 'Hello' }]
export const message = { model: 'claude-haiku-4-5', max_tokens: 100, messages: hello }
export const usage = { input: 1000, output: 200, cacheRead: 3000, cacheWrite: 0 }
export const turns = [{ text: 'Hello to you.', usage, chunk: 4 }]
export const proxied = (world: World) => world.recorded.map((draft) => draft.data)
/** The event follows the answer. */
export const settled = async (world: World, count = 1) => {
  while (world.recorded.length < count) await new Promise(setImmediate)
}
