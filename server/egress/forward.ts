import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { OpenRoute } from './admission.ts'
import { failed, type Refusal, refusalHeader, responseText } from './refusal.ts'
import { authorityOf, type Target } from './target.ts'

/** RFC 9110, section 7.6.1, the older spelling of it, and what only the proxy itself may say. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  refusalHeader.toLowerCase(),
])

/** Pairs of name and value without those that concern one connection only. */
function endToEnd(message: IncomingMessage, without: readonly string[] = []): [string, string][] {
  const named = (message.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  const dropped = new Set([...hopByHop, ...without, ...named])
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
    const [name, value] = [message.rawHeaders[i] as string, message.rawHeaders[i + 1] as string]
    if (!dropped.has(name.toLowerCase())) pairs.push([name, value])
  }
  return pairs
}

/** `Host` is the authority that the policy allowed, whatever the client wrote. */
function requestHeaders(
  incoming: IncomingMessage,
  { target, to }: ForwardOptions,
  upgrade?: string,
): string[] {
  const host = target.port === 80 ? authorityOf(target).replace(/:80$/, '') : authorityOf(target)
  const pairs: [string, string][] = [
    ['Host', host],
    ...endToEnd(incoming, ['host', 'content-length', 'expect']),
  ]
  const length = incoming.headers['content-length']
  if (incoming.headers['transfer-encoding'] !== undefined) pairs.push(['Transfer-Encoding', 'chunked'])
  else if (length !== undefined) pairs.push(['Content-Length', length])
  if (upgrade === undefined) pairs.push(['Connection', 'close'])
  else pairs.push(['Connection', 'Upgrade'], ['Upgrade', upgrade])
  if (to.proxy?.authorization) pairs.push(['Proxy-Authorization', to.proxy.authorization])
  return pairs.flat()
}

interface ForwardOptions {
  readonly target: Target
  /** Path and query as the client wrote them. */
  readonly path: string
  readonly to: OpenRoute
  /** Milliseconds without a byte after which the request is given up. */
  readonly idleTimeout: number
}

/** One request to one server connection, so that nothing of one request can become part of another. */
function outgoingRequest(
  incoming: IncomingMessage,
  options: ForwardOptions,
  upgrade?: string,
): ClientRequest {
  const { target, path, to, idleTimeout } = options
  const outgoing = request({
    createConnection: () => to.stream,
    method: incoming.method,
    path: to.proxy ? `http://${authorityOf(target)}${path}` : path,
    setHost: false,
    headers: requestHeaders(incoming, options, upgrade),
  })
  let timer: NodeJS.Timeout
  const touch = () => {
    clearTimeout(timer)
    timer = setTimeout(() => outgoing.destroy(new Error('timed out')), idleTimeout).unref()
  }
  touch()
  incoming.on('data', touch)
  to.stream.on('data', touch)
  outgoing.once('close', () => {
    clearTimeout(timer)
    to.stream.off('data', touch)
  })
  return outgoing
}

const unreachable = (target: Target, error: unknown): Refusal =>
  failed(target, {
    rule: 'unreachable',
    reason: error instanceof Error ? error.message : 'the connection broke',
  })

/** Forwards one plain HTTP request and its answer. Never rejects. */
export function forward(incoming: IncomingMessage, answer: ServerResponse, options: ForwardOptions): void {
  const outgoing = outgoingRequest(incoming, options)
  const fail = (error: unknown) => {
    options.to.stream.destroy()
    if (answer.headersSent) answer.destroy()
    else respond(answer, unreachable(options.target, error))
  }
  outgoing.on('error', fail)
  outgoing.on('response', (response) => {
    // A server may answer before it has read the body; what is left of it must not become the next request.
    answer.shouldKeepAlive &&= incoming.complete
    answer.sendDate = false
    try {
      answer.writeHead(response.statusCode ?? 502, response.statusMessage ?? '', endToEnd(response).flat())
    } catch (error) {
      // A status or a character that Node's client lets through and its server does not.
      fail(error)
      return
    }
    pipeline(response, answer).catch(fail)
  })
  // Node drops an answer that switches protocols unasked, and says no more than this.
  outgoing.once('close', () => {
    if (!answer.headersSent) fail(new Error('the server did not answer in HTTP'))
  })
  // Also when the client has gone in the middle of its request.
  answer.once('close', () => options.to.stream.destroy())
  incoming.pipe(outgoing)
}

/** Forwards a request that asks to switch protocols; after a 101 both sides are joined by `join`. */
export function forwardUpgrade(
  incoming: IncomingMessage,
  client: Duplex,
  options: ForwardOptions & { join: (server: Duplex) => void },
): void {
  const outgoing = outgoingRequest(incoming, options, 'websocket')
  const close = () => {
    client.destroy()
    options.to.stream.destroy()
  }
  client.once('close', close)
  outgoing.on('error', (error) => {
    options.to.stream.destroy()
    client.end(responseText(unreachable(options.target, error)))
  })
  const headOf = (response: IncomingMessage, extra: [string, string][]): string =>
    [
      `HTTP/1.1 ${response.statusCode} ${response.statusMessage}`,
      ...[...endToEnd(response), ...extra].map(([name, value]) => `${name}: ${value}`),
    ].join('\r\n')
  outgoing.on('upgrade', (response, server, head) => {
    client.off('close', close)
    const upgrade = response.headers.upgrade ?? ''
    client.write(
      `${headOf(response, [
        ['Connection', 'Upgrade'],
        ['Upgrade', upgrade],
      ])}\r\n\r\n`,
      'latin1',
    )
    if (head.length > 0) server.unshift(head)
    options.join(server)
  })
  outgoing.on('response', (response) => {
    client.write(`${headOf(response, [['Connection', 'close']])}\r\n\r\n`, 'latin1')
    pipeline(response, client).catch(close)
  })
  outgoing.end()
}

/** Answers a request with a refusal and ends its connection. */
export function respond(answer: ServerResponse, { status, phrase, header, body }: Refusal): void {
  answer.writeHead(status, phrase, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    [refusalHeader]: header,
    Connection: 'close',
  })
  answer.end(body)
}
