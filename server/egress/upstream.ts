import { request } from 'node:http'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { ForgeError } from '#core/errors.ts'
import { inRange, parseAddress, parseRange, rangeOf } from './address.ts'
import { authorityOf, type Target } from './target.ts'

/** The proxy that the server itself must use, as the usual environment variables hold it. */
export interface UpstreamSettings {
  /** HTTPS_PROXY: for CONNECT. */
  readonly https?: string | undefined
  /** HTTP_PROXY: for plain HTTP. */
  readonly http?: string | undefined
  /** NO_PROXY: names (with their subdomains), addresses, CIDRs, each with or without port, or `*`. */
  readonly noProxy?: string | undefined
}

interface ProxyServer {
  readonly tls: boolean
  readonly host: string
  readonly port: number
  readonly authorization: string | null
}

export interface Upstream {
  readonly https: ProxyServer | null
  readonly http: ProxyServer | null
  readonly exempt: (target: Target) => boolean
}

function parseProxy(text: string | undefined, variable: string): ProxyServer | null {
  if (!text) return null
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw new ForgeError('config_invalid', `${variable} is no http:// or https:// URL`)
  const tls = url.protocol === 'https:'
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    tls,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (tls ? 443 : 80),
    authorization: credentials === ':' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`,
  }
}

function parseExemption(text: string): (target: Target) => boolean {
  if (text === '*') return () => true
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [
    null,
    undefined,
    text,
  ]
  const host = (bracketed ?? plain ?? '').toLowerCase()
  const address = parseAddress(host)
  const range = address ? rangeOf(address) : parseRange(host)
  const name = host.replace(/^\*?\./, '')
  return (target) => {
    if (port !== undefined && Number(port) !== target.port) return false
    if (range) return target.address !== null && inRange(target.address, range)
    return name !== '' && (target.host === name || target.host.endsWith(`.${name}`))
  }
}

/** Throws `config_invalid` when a proxy's URL cannot be used. */
export function parseUpstream(settings: UpstreamSettings): Upstream {
  const exemptions = (settings.noProxy ?? '')
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(parseExemption)
  return {
    https: parseProxy(settings.https, 'HTTPS_PROXY'),
    http: parseProxy(settings.http, 'HTTP_PROXY'),
    exempt: (target) => exemptions.some((matches) => matches(target)),
  }
}

function openProxy(server: ProxyServer, signal: AbortSignal): Promise<Duplex> {
  const { host, port, tls } = server
  return new Promise((resolve, reject) => {
    const socket = tls
      ? connectTls({ host, port, ...(parseAddress(host) ? {} : { servername: host }) })
      : connectTcp({ host, port, allowHalfOpen: true, noDelay: true })
    const abort = () => socket.destroy(new Error('the upstream proxy did not answer in time'))
    signal.addEventListener('abort', abort, { once: true })
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', abort)
      resolve(socket)
    })
    socket.on('error', reject)
  })
}

async function connectThrough(server: ProxyServer, target: Target, signal: AbortSignal): Promise<Duplex> {
  const socket = await openProxy(server, signal)
  return new Promise((resolve, reject) => {
    const authority = authorityOf(target)
    const outgoing = request({
      createConnection: () => socket,
      method: 'CONNECT',
      path: authority,
      headers: {
        host: authority,
        ...(server.authorization ? { 'proxy-authorization': server.authorization } : {}),
      },
    })
    const abort = () => outgoing.destroy(new Error('the upstream proxy did not answer in time'))
    signal.addEventListener('abort', abort, { once: true })
    outgoing.once('close', () => signal.removeEventListener('abort', abort))
    outgoing.on('error', reject)
    outgoing.once('response', (response) => {
      socket.destroy()
      reject(new Error(`the upstream proxy answered ${response.statusCode}`))
    })
    outgoing.once('connect', (response, stream, head) => {
      const ok = response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300
      if (!ok) {
        stream.destroy()
        reject(new Error(`the upstream proxy answered ${response.statusCode}`))
        return
      }
      signal.removeEventListener('abort', abort)
      if (head.length > 0) stream.unshift(head)
      resolve(stream)
    })
    outgoing.end()
  })
}

interface UpstreamRoute {
  open(
    target: Target,
    signal: AbortSignal,
  ): Promise<{ stream: Duplex; proxy?: { readonly authorization: string | null } }>
}

/** The way through the upstream proxy; null when the target is to be reached directly. */
export function upstreamFor(
  upstream: Upstream,
  target: Target,
  via: 'connect' | 'http',
): UpstreamRoute | null {
  const server = via === 'connect' ? upstream.https : upstream.http
  if (!server || upstream.exempt(target)) return null
  return {
    async open(to, signal) {
      if (via === 'connect') return { stream: await connectThrough(server, to, signal) }
      return { stream: await openProxy(server, signal), proxy: { authorization: server.authorization } }
    },
  }
}
