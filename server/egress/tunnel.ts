import type { Duplex } from 'node:stream'
import { ClientHelloReader } from './client-hello.ts'
import type { Verdict } from './policy.ts'
import type { Target } from './target.ts'

interface TunnelOptions {
  readonly target: Target
  /** Bytes of the client that came along with its CONNECT. */
  readonly head: Buffer
  /** Milliseconds without a byte in either direction after which the tunnel is closed. */
  readonly idleTimeout: number
  /** Milliseconds that a client has for its ClientHello once it owes one. */
  readonly helloTimeout: number
  readonly onRefused: (verdict: Verdict) => void
}

/** The only port on which a client must speak TLS. */
const tlsPort = 443
/** A fatal `access_denied` alert (RFC 8446, section 6), so that a TLS client reports a refusal, not a broken pipe. */
const accessDenied = Buffer.from([21, 3, 3, 0, 2, 2, 49])

/** Null while more bytes are needed. */
function judge(reader: ClientHelloReader, chunk: Buffer, target: Target): Verdict | null {
  const hello = reader.push(chunk)
  if (hello.kind === 'incomplete') return null
  if (hello.kind === 'not_tls')
    return target.port === tlsPort
      ? { allowed: false, rule: 'tls_required', reason: 'the client does not speak TLS on port 443' }
      : { allowed: true, rule: 'not_tls' }
  if (hello.kind === 'malformed')
    return { allowed: false, rule: 'sni_mismatch', reason: `the ClientHello is malformed: ${hello.reason}` }
  const expected = hello.serverName === target.host || (hello.serverName === null && target.address !== null)
  if (expected) return { allowed: true, rule: 'sni' }
  const seen = hello.serverName === null ? 'no server name' : `the server name ${hello.serverName}`
  return {
    allowed: false,
    rule: 'sni_mismatch',
    reason: `the TLS client asks for ${seen}, not for ${target.host}`,
  }
}

/** How long a stream may take to deliver what it still holds after the other one has closed. */
const lingerTimeout = 5000

/** Passes the end of `from` on: after a clean one `to` still gets everything, otherwise it breaks too. */
function closeAfter(from: Duplex, to: Duplex): void {
  from.once('close', () => {
    if (!from.readableEnded) {
      to.destroy()
      return
    }
    to.end()
    to.resume()
    const timer = setTimeout(() => to.destroy(), lingerTimeout).unref()
    to.once('close', () => clearTimeout(timer))
  })
}

/** Closes both when one breaks or when no byte has passed for `idleTimeout` ms. */
function tie(client: Duplex, server: Duplex, idleTimeout: number): void {
  let last = performance.now()
  const timer = setInterval(() => {
    if (performance.now() - last >= idleTimeout) close()
  }, idleTimeout / 4).unref()
  const close = () => {
    client.destroy()
    server.destroy()
  }
  for (const stream of [client, server]) {
    stream.on('error', close)
    stream.once('close', () => clearInterval(timer))
    stream.on('data', () => {
      last = performance.now()
    })
  }
  closeAfter(client, server)
  closeAfter(server, client)
}

/** Copies both ways until both have ended, one breaks, or no byte has passed for `idleTimeout` ms. */
export function join(client: Duplex, server: Duplex, idleTimeout: number): void {
  client.pipe(server)
  server.pipe(client)
  tie(client, server, idleTimeout)
}

/**
 * Joins a client to the server it asked for. The client's first bytes are held until they are known: a TLS
 * ClientHello must name the target (the outer name, with ECH); on port 443 anything else is refused. On other
 * ports bytes that are no TLS pass, and a server that speaks first is heard at once.
 */
export function tunnel(client: Duplex, server: Duplex, options: TunnelOptions): void {
  const { target } = options
  const reader = new ClientHelloReader()
  const first: Buffer[] = []
  let owed: NodeJS.Timeout | undefined

  const stop = () => {
    clearTimeout(owed)
    client.off('data', inspect)
    client.off('end', endEarly)
  }
  const refuse = (verdict: Verdict) => {
    options.onRefused(verdict)
    stop()
    // The server is kept until the client has heard why: its close would close the client too.
    server.unpipe(client).pause()
    client.end(accessDenied)
    client.resume()
    setTimeout(() => client.destroy(), 1000).unref()
  }
  const late = () =>
    refuse({ allowed: false, rule: 'tls_required', reason: 'the ClientHello did not come in time' })
  const owe = () => {
    owed ??= setTimeout(late, options.helloTimeout).unref()
  }
  const inspect = (chunk: Buffer) => {
    first.push(chunk)
    const verdict = judge(reader, chunk, target)
    if (!verdict) return owe()
    if (!verdict.allowed) return refuse(verdict)
    stop()
    server.write(Buffer.concat(first))
    client.pipe(server)
  }
  const endEarly = () => {
    stop()
    if (first.length > 0 || target.port === tlsPort) server.destroy()
    else server.end()
  }

  client.once('end', endEarly)
  client.once('close', stop)
  if (target.port === tlsPort) owe()
  if (options.head.length > 0) client.unshift(options.head)
  client.on('data', inspect)
  server.pipe(client)
  tie(client, server, options.idleTimeout)
}
