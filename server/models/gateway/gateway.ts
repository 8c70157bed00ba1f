import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ForgeError } from '#core/errors.ts'
import type { EventData, EventDraft } from '#core/event/event.ts'
import type { ModelUsage } from '#core/model/message.ts'
import type { ModelAccess } from '../access.ts'
import { publicUrl, redact } from '../failure.ts'
import type { Meter } from '../meter.ts'
import { type PriceTable, priceOf } from '../prices.ts'
import type { Upstream } from '../upstream.ts'
import { readBody } from './body.ts'
import { exchangeWith } from './exchange.ts'
import { type Refusal, refuse } from './refusal.ts'
import { familyOf, type Route, routeOf } from './routes.ts'

export interface GatewayOptions {
  readonly access: ModelAccess
  readonly upstream: Upstream
  readonly prices: PriceTable
  readonly meter: Meter
  readonly record: (draft: EventDraft) => Promise<unknown>
  /** Milliseconds, for durations. */
  readonly now: () => number
  /** The run has a cost limit: a model whose price is not known could not be held to it, and is refused. */
  readonly pricedOnly?: boolean
  /** Default 64 MiB. */
  readonly maxBodyBytes?: number
  /** Requests at the same time; more are answered with 429. Default 8. */
  readonly maxConcurrent?: number
}

export interface ModelGateway {
  /** Serves HTTP/1.1 on a stream from inside the sandbox. */
  handle(stream: Duplex): void
  /** Ends every request at once; resolves when the last of them is recorded. */
  close(): Promise<void>
}

const isRefusal = (value: object): value is Refusal => 'status' in value && 'message' in value

class Gateway {
  readonly #options: GatewayOptions
  readonly #signal: AbortSignal
  #running = 0
  /** What cannot be recorded must not happen: after a failure of the ledger nothing passes any more. */
  #unrecorded = false

  constructor(options: GatewayOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const family = familyOf(request)
    const route = routeOf(request)
    if (route === 404)
      return refuse(response, family, { status: 404, message: 'the model gateway has no such path' })
    if (route === 405) return refuse(response, family, { status: 405, message: 'the method is not allowed' })
    if (this.#running >= (this.#options.maxConcurrent ?? 8))
      return refuse(response, route.family, { status: 429, message: 'too many requests at the same time' })
    this.#running++
    try {
      await this.#serveRoute(request, response, route)
    } finally {
      this.#running--
    }
  }

  async #serveRoute(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
    const began = this.#options.now()
    const deny = async (refusal: Refusal) => {
      await this.#record(route, { status: refusal.status, usage: null, reason: refusal.message, began })
      refuse(response, route.family, refusal)
    }
    const access = this.#options.access[route.family]
    if (!access) return deny({ status: 503, message: `Forge has no credentials for ${route.family}` })
    const body = route.method === 'POST' ? await readBody(request, route, this.#maxBody) : null
    if (body && isRefusal(body)) return deny(body)
    const refusal = route.api === null ? null : this.#budgetRefusal(body?.model ?? '')
    if (refusal) return deny(refusal)
    const { meter, upstream, prices } = this.#options
    let usage: ModelUsage | null = null
    const onUsage = (told: ModelUsage) => {
      usage = told
      meter.record(told)
    }
    try {
      const common = { request, response, route, access, body, upstream, prices, signal: this.#signal }
      const { status } = await exchangeWith({ ...common, onUsage })
      await this.#record(route, { status, usage, began })
    } catch (thrown) {
      const said = thrown instanceof Error ? thrown.message : String(thrown)
      const reason = redact(`${publicUrl(access.baseUrl)}: ${said}`, [access.apiKey])
      await this.#record(route, { status: 502, usage, reason, began })
      if (response.headersSent) response.destroy()
      else refuse(response, route.family, { status: 502, message: reason })
    }
  }

  get #maxBody(): number {
    return this.#options.maxBodyBytes ?? 64 * 1024 * 1024
  }

  #budgetRefusal(model: string): Refusal | null {
    const { meter, pricedOnly, prices } = this.#options
    if (this.#unrecorded) return { status: 503, message: 'the ledger cannot be written' }
    if (pricedOnly && !priceOf(model, prices))
      return {
        status: 402,
        message: `the run has a cost limit, and the price of ${model} is not known (model.prices)`,
      }
    try {
      meter.assertWithin()
      return null
    } catch (thrown) {
      return { status: 402, message: `the run’s budget is spent: ${ForgeError.from(thrown).message}` }
    }
  }

  async #record(
    route: Route,
    told: { status: number; usage: ModelUsage | null; reason?: string; began: number },
  ): Promise<void> {
    if (route.api === null) return
    const { began, ...rest } = told
    const data: EventData<'model.proxied'> = {
      api: route.api,
      ...rest,
      ms: Math.max(0, this.#options.now() - began),
    }
    try {
      await this.#options.record({ actor: 'sandbox', type: 'model.proxied', data })
    } catch {
      this.#unrecorded = true
    }
  }
}

/**
 * The model APIs for programs inside one run's sandbox: Anthropic Messages, OpenAI Chat Completions and
 * Responses, and the list of models. Nothing else passes. The client's credentials are dropped and the
 * server's are added; tokens and cost go to the run's meter, and each request for an answer is an event.
 */
export function modelGateway(options: GatewayOptions): ModelGateway {
  const closing = new AbortController()
  const gateway = new Gateway(options, closing.signal)
  const streams = new Set<Duplex>()
  const open = new Set<Promise<unknown>>()
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    response.on('error', () => {})
    const serving = gateway.serve(request, response).catch(() => response.destroy())
    open.add(serving)
    void serving.finally(() => open.delete(serving))
  })
  server.on('clientError', (_error, stream) => stream.destroy())
  return {
    handle: (stream) => {
      if (closing.signal.aborted) {
        stream.destroy()
        return
      }
      streams.add(stream)
      stream.once('close', () => streams.delete(stream))
      stream.on('error', () => stream.destroy())
      server.emit('connection', stream)
    },
    close: async () => {
      closing.abort()
      for (const stream of streams) stream.destroy()
      server.close()
      await Promise.all(open)
    },
  }
}
