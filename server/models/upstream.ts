import { once } from 'node:events'
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import https from 'node:https'
import { ForgeError } from '#core/errors.ts'

/** Calls `then` after `ms`, unless the returned function is called before. */
type After = (ms: number, then: () => void) => () => void

export interface UpstreamOptions {
  /** The server's own HTTP(S) proxy, `http://[user:password@]host:port`. Loopback never goes through it. */
  readonly proxyUrl?: string | undefined
  /** More hosts that are reached directly, as in NO_PROXY. */
  readonly noProxy?: string | undefined
  /** The longest time without a byte, in milliseconds. Default 120 s: the APIs send pings while a model thinks. */
  readonly idleMs?: number
  /** Default 8 MiB. */
  readonly maxEventBytes?: number
  /** Default 64 MiB: 128,000 tokens streamed one by one take about half of it. */
  readonly maxResponseBytes?: number
  readonly after?: After
}

interface UpstreamRequest {
  readonly method: string
  readonly headers: OutgoingHttpHeaders
  readonly body?: string | Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
  /** Instead of the upstream's own. */
  readonly idleMs?: number
}

/** The way to the model APIs: one connection pool, the server's proxy, no redirects, and bounds on what comes back. */
export interface Upstream {
  /** Resolves with the head of the response. Rejects with the connection's error. */
  request(url: URL, request: UpstreamRequest): Promise<IncomingMessage>
  /** The body within the bounds. Throws `model_unavailable` (idle) or `model_rejected` (too large). */
  read(response: IncomingMessage, idleMs?: number): AsyncGenerator<Buffer>
  /** For the SDKs. */
  readonly fetch: typeof fetch
  close(): void
}

const after: After = (ms, then) => {
  const timer = setTimeout(then, ms)
  return () => clearTimeout(timer)
}

const mib = (bytes: number): string => `${Math.max(1, Math.round(bytes / 1024 / 1024))} MiB`

const tooLarge = (what: string, limit: number): ForgeError =>
  new ForgeError('model_rejected', `the model API sent ${what} of more than ${mib(limit)}`, {
    hint: 'this is no sensible answer: try another model or endpoint',
  })

const idle = (ms: number): ForgeError =>
  new ForgeError('model_unavailable', `the model API sent nothing for ${Math.round(ms / 1000)} s`)

/** Counts the bytes since the last empty line; returns the largest event seen so far in this chunk. */
function eventMeter(): (chunk: Buffer) => number {
  let event = 0
  let line = 0
  return (chunk) => {
    let largest = 0
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const length = end - start
      const empty = line + length === 0 || (line + length === 1 && chunk[end - 1] === 13)
      event = empty ? 0 : event + length + 1
      largest = Math.max(largest, event)
      line = 0
      start = end + 1
    }
    line += chunk.length - start
    event += chunk.length - start
    return Math.max(largest, event)
  }
}

const agentsOf = ({ proxyUrl, noProxy }: UpstreamOptions) => {
  const direct = ['localhost', '127.0.0.1', '[::1]', ...(noProxy ? [noProxy] : [])].join(',')
  const options = {
    keepAlive: true,
    ...(proxyUrl ? { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl, NO_PROXY: direct } } : {}),
  }
  return { http: new http.Agent(options), https: new https.Agent(options) }
}

function headersOf(response: IncomingMessage): Headers {
  const headers = new Headers()
  for (let index = 0; index + 1 < response.rawHeaders.length; index += 2)
    headers.append(response.rawHeaders[index] ?? '', response.rawHeaders[index + 1] ?? '')
  return headers
}

export function makeUpstream(options: UpstreamOptions = {}): Upstream {
  const agents = agentsOf(options)
  const timer = options.after ?? after
  const defaultIdleMs = options.idleMs ?? 120_000
  const maxEventBytes = options.maxEventBytes ?? 8 * 1024 * 1024
  const maxResponseBytes = options.maxResponseBytes ?? 64 * 1024 * 1024

  const request: Upstream['request'] = async (url, { method, headers, body, signal, idleMs }) => {
    const secure = url.protocol === 'https:'
    const outgoing = (secure ? https : http).request(url, {
      method,
      headers: { ...headers, 'accept-encoding': 'identity' },
      agent: secure ? agents.https : agents.http,
      ...(signal ? { signal } : {}),
    })
    const limit = idleMs ?? defaultIdleMs
    const cancel = timer(limit, () => outgoing.destroy(idle(limit)))
    try {
      outgoing.end(body)
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      // Without a listener an error after the head would end the process; reading the body reports it.
      outgoing.on('error', () => {})
      return response
    } finally {
      cancel()
    }
  }

  async function* read(response: IncomingMessage, idleMs = defaultIdleMs): AsyncGenerator<Buffer> {
    const chunks = response[Symbol.asyncIterator]()
    const eventBytes = response.headers['content-type']?.includes('text/event-stream')
      ? eventMeter()
      : () => 0
    let total = 0
    try {
      for (;;) {
        // Only while waiting for bytes: a slow reader must not look like a silent server.
        const cancel = timer(idleMs, () => response.destroy(idle(idleMs)))
        const next: IteratorResult<Buffer> = await chunks.next().finally(cancel)
        if (next.done) return
        total += next.value.length
        if (total > maxResponseBytes) throw tooLarge('a response', maxResponseBytes)
        if (eventBytes(next.value) > maxEventBytes) throw tooLarge('an event', maxEventBytes)
        yield next.value
      }
    } finally {
      response.destroy()
    }
  }

  const upstreamFetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { body } = init
    if (body != null && typeof body !== 'string' && !(body instanceof Uint8Array))
      throw new TypeError('the upstream sends strings and bytes only')
    const response = await request(url, {
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      body: body ?? undefined,
      signal: init.signal ?? undefined,
    })
    const status = response.statusCode ?? 500
    const empty = status === 204 || status === 304
    return new Response(empty ? null : ReadableStream.from(read(response)), {
      status,
      statusText: response.statusMessage ?? '',
      headers: headersOf(response),
    })
  }

  return {
    request,
    read,
    fetch: upstreamFetch,
    close: () => {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}
