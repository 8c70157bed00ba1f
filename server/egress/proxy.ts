import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Admission, type Admitted, admission } from './admission.ts'
import { Clients } from './clients.ts'
import { type DecisionLog, decisionLog } from './decisions.ts'
import { forward, forwardUpgrade, respond } from './forward.ts'
import type { EgressDecision, EgressPolicy, Verdict } from './policy.ts'
import { refused, responseText } from './refusal.ts'
import { boundedResolve, type Dial, type Resolve, systemResolve, tcpDial } from './route.ts'
import { join, tunnel } from './tunnel.ts'
import { parseUpstream, type UpstreamSettings } from './upstream.ts'

interface EgressLimits {
  /** Connections of the sandbox, and requests under way on them, at one time. */
  readonly connections: number
  readonly headerBytes: number
  /** Names looked up at one time: `getaddrinfo` shares its few threads with the server's file access. */
  readonly lookups: number
  /** Milliseconds that a connection may take to bring its next request. */
  readonly headersTimeout: number
  /** Milliseconds for the lookup and all attempts to connect. */
  readonly connectTimeout: number
  /** Milliseconds that a client has for its ClientHello once it owes one. */
  readonly helloTimeout: number
  /** Milliseconds without a byte in either direction. */
  readonly idleTimeout: number
}

const defaultLimits: EgressLimits = {
  connections: 256,
  headerBytes: 16 * 1024,
  lookups: 2,
  headersTimeout: 60_000,
  connectTimeout: 15_000,
  helloTimeout: 15_000,
  idleTimeout: 15 * 60_000,
}

export interface EgressOptions {
  readonly policy: EgressPolicy
  /** Called for each decision; repeats come as one with a `count`, see `decisionLog`. */
  readonly onDecision: (decision: EgressDecision) => void
  readonly resolve?: Resolve
  readonly dial?: Dial
  /** The server's own proxy variables. */
  readonly upstream?: UpstreamSettings
  readonly limits?: Partial<EgressLimits>
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

interface EgressProxy {
  /** Takes over one connection from the sandbox. */
  handle(stream: Duplex): void
  /** Ends every connection and reports the decisions that were held back. */
  close(): void
}

const overLimit: Verdict = {
  allowed: false,
  rule: 'connection_limit',
  reason: 'too many connections at one time',
}

const badFraming: Verdict = {
  allowed: false,
  rule: 'invalid_request',
  reason: 'the only transfer encoding that is passed on is chunked',
}

/** The body is re-framed on its way, so any other transfer encoding would change its meaning. */
const plainFraming = ({ headers }: IncomingMessage): boolean =>
  (headers['transfer-encoding'] ?? 'chunked').toLowerCase() === 'chunked'

/** Only what a WebSocket client sends; any other `Upgrade` is dropped and the request goes on without it. */
const asksForWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' &&
  headers.upgrade?.toLowerCase() === 'websocket' &&
  headers['content-length'] === undefined &&
  headers['transfer-encoding'] === undefined

function endWith(stream: Duplex, text: string): void {
  stream.end(text)
  stream.resume()
  setTimeout(() => stream.destroy(), 1000).unref()
}

interface Parts {
  readonly clients: Clients
  readonly log: DecisionLog
  readonly admit: Admission
  readonly limits: EgressLimits
}

/** For requests that take the whole connection over; null when it was ended instead. */
async function takeOver(stream: Duplex, clients: Clients, admitting: () => Promise<Admitted>) {
  // A pipelined request before it is still being answered on the same stream.
  if (clients.busy(stream)) {
    stream.destroy()
    return null
  }
  const done = clients.begin(stream)
  if (!done) {
    endWith(stream, responseText(refused(null, overLimit, 503)))
    return null
  }
  stream.once('close', done)
  const admitted = await admitting()
  if ('refusal' in admitted) {
    endWith(stream, responseText(admitted.refusal))
    return null
  }
  if (!stream.destroyed) return admitted
  admitted.to.stream.destroy()
  return null
}

function serveRequests(server: Server, { clients, admit, limits }: Parts): void {
  const { idleTimeout } = limits
  server.on('request', async (incoming, answer) => {
    const done = clients.begin(incoming.socket)
    if (!done) return respond(answer, refused(null, overLimit, 503))
    answer.once('close', done)
    if (!plainFraming(incoming)) return respond(answer, refused(null, badFraming, 400))
    const admitted = await admit.http(incoming.url ?? '')
    if ('refusal' in admitted) return respond(answer, admitted.refusal)
    if (answer.destroyed) return void admitted.to.stream.destroy()
    forward(incoming, answer, { ...admitted, idleTimeout })
  })
  server.on('upgrade', async (incoming, stream, head) => {
    const admitted = await takeOver(stream, clients, () => admit.http(incoming.url ?? ''))
    if (!admitted) return
    if (head.length > 0) stream.unshift(head)
    forwardUpgrade(incoming, stream, {
      ...admitted,
      idleTimeout,
      join: (to) => join(stream, to, idleTimeout),
    })
  })
}

function serveTunnels(server: Server, { clients, admit, limits, log }: Parts): void {
  server.on('connect', async (incoming, stream, head) => {
    const admitted = await takeOver(stream, clients, () => admit.connect(incoming.url ?? ''))
    if (!admitted) return
    const { target, to } = admitted
    stream.write('HTTP/1.1 200 Connection established\r\n\r\n')
    tunnel(stream, to.stream, {
      target,
      head,
      idleTimeout: limits.idleTimeout,
      helloTimeout: limits.helloTimeout,
      onRefused: (verdict) =>
        log.record({ host: target.host, port: target.port, via: 'connect', ...verdict }),
    })
  })
}

/** One sandbox's way out: HTTP CONNECT and plain HTTP through an allowlist. Throws `config_invalid` for a bad `upstream`. */
export function egressProxy(options: EgressOptions): EgressProxy {
  const limits = { ...defaultLimits, ...options.limits }
  const clients = new Clients(limits)
  const log = decisionLog(options.onDecision, options.now ?? (() => performance.now()))
  const admit = admission(log, {
    policy: options.policy,
    resolve: boundedResolve(options.resolve ?? systemResolve, limits.lookups),
    dial: options.dial ?? tcpDial,
    upstream: parseUpstream(options.upstream ?? {}),
    connectTimeout: limits.connectTimeout,
  })
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
    requireHostHeader: false,
    shouldUpgradeCallback: asksForWebSocket,
  })
  // Node drops headers beyond a number of them in silence; the bytes are the bound here.
  server.maxHeadersCount = 0
  serveRequests(server, { clients, log, admit, limits })
  serveTunnels(server, { clients, log, admit, limits })
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    if (!stream.writable || clients.busy(stream)) return void stream.destroy()
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
    endWith(stream, head)
  })

  return {
    handle(stream) {
      stream.on('error', () => stream.destroy())
      if (clients.add(stream)) server.emit('connection', stream)
      else endWith(stream, responseText(refused(null, overLimit, 503)))
    },
    close() {
      clients.close()
      log.close()
    },
  }
}
