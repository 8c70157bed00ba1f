import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { ForgeError } from '#core/errors.ts'
import type { ModelUsage } from '#core/model/message.ts'
import type { FamilyAccess } from '../access.ts'
import { anthropicKeyHeaders } from '../anthropic/endpoint.ts'
import { costOf, type PriceTable } from '../prices.ts'
import type { Upstream } from '../upstream.ts'
import { writeTo } from '../write.ts'
import type { ModelBody } from './body.ts'
import { concealer } from './concealer.ts'
import { queryOf, type Route } from './routes.ts'
import { usageTap } from './usage-tap.ts'

/** An answer that does not stream says nothing until it is done. */
const wholeAnswerIdleMs = 600_000

/** All that a client may say upstream; keys, cookies, organisations and hop-by-hop headers are not in it. */
const requestHeaders = [
  'accept',
  'user-agent',
  'anthropic-version',
  'anthropic-beta',
  'openai-beta',
  'idempotency-key',
]

const responseHeaders = [
  'content-type',
  'cache-control',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'request-id',
  'x-request-id',
]

const pick = (headers: IncomingHttpHeaders, names: readonly string[]): OutgoingHttpHeaders =>
  Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])))

function keyHeaders(route: Route, access: FamilyAccess): OutgoingHttpHeaders {
  if (route.family === 'anthropic') return anthropicKeyHeaders(access)
  return access.apiKey ? { authorization: `Bearer ${access.apiKey}` } : {}
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: Route
  readonly access: FamilyAccess
  /** Null for a GET. */
  readonly body: ModelBody | null
  readonly upstream: Upstream
  readonly prices: PriceTable
  readonly signal: AbortSignal
  /** Called once, as soon as the usage is known. */
  readonly onUsage: (usage: ModelUsage) => void
}

interface Exchanged {
  readonly status: number
  readonly usage: ModelUsage | null
}

function urlOf({ access, route, request }: Exchange): URL {
  const base = access.baseUrl.replace(/\/+$/, '')
  return new URL(`${base}${route.path}${queryOf(request.url)}`)
}

const send = (exchange: Exchange): Promise<IncomingMessage> =>
  exchange.upstream.request(urlOf(exchange), {
    method: exchange.route.method,
    headers: {
      ...pick(exchange.request.headers, requestHeaders),
      ...(exchange.body
        ? { 'content-type': 'application/json', 'content-length': exchange.body.bytes.length }
        : {}),
      ...keyHeaders(exchange.route, exchange.access),
    },
    body: exchange.body?.bytes,
    signal: exchange.signal,
    idleMs: wholeAnswerIdleMs,
  })

function head(exchange: Exchange, answer: IncomingMessage): void {
  const { apiKey } = exchange.access
  const headers = Object.entries(pick(answer.headers, responseHeaders)).map(([name, value]) => {
    const conceal = concealer(apiKey)
    const text = Buffer.from(String(value))
    return [name, Buffer.concat([conceal.push(text), conceal.end()]).toString()]
  })
  exchange.response.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers))
}

/** A redirect would lead the client, or its next request, past the gateway. */
const isRedirect = (status: number): boolean => status >= 300 && status < 400

/**
 * One request to the model API and its answer, passed on as it comes. When the client goes away in the
 * middle, the answer is read to its end all the same: it is paid for, and only its end tells the tokens.
 * Rejects when the API cannot be reached, or breaks off.
 */
export async function exchangeWith(exchange: Exchange): Promise<Exchanged> {
  const { response, route, body, access, prices } = exchange
  const answer = await send(exchange)
  const status = answer.statusCode ?? 502
  if (isRedirect(status))
    throw new ForgeError('model_rejected', `the model API answered with a redirect (${status})`)
  if ((answer.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new ForgeError('model_rejected', 'the model API sent a compressed answer unasked')
  head(exchange, answer)
  const streamed = answer.headers['content-type']?.includes('text/event-stream') ?? false
  const tap = route.api === null ? null : usageTap(route.api, streamed)
  const conceal = concealer(access.apiKey)
  let usage: ModelUsage | null = null
  const settle = () => {
    if (!tap?.tokens || !body || usage) return
    usage = { model: body.model, tokens: tap.tokens, cost: costOf(body.model, tap.tokens, prices) }
    exchange.onUsage(usage)
  }
  let listening = true
  try {
    for await (const chunk of exchange.upstream.read(answer, streamed ? undefined : wholeAnswerIdleMs)) {
      tap?.push(chunk)
      // Before the client can see the end, and ask again.
      if (tap?.final) settle()
      if (listening) listening = await writeTo(response, conceal.push(chunk))
    }
    tap?.end()
  } finally {
    settle()
  }
  if (listening) response.end(conceal.end())
  return { status, usage }
}
