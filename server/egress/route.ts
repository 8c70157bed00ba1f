import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Address, parseAddress } from './address.ts'
import type { EgressPolicy, Verdict } from './policy.ts'
import type { Target } from './target.ts'
import { type Upstream, upstreamFor } from './upstream.ts'

/** All addresses of a name, in the order to try them. */
export type Resolve = (host: string) => Promise<string[]>
/** Opens a TCP connection to exactly that address, or rejects when the signal aborts. The stream allows half-open. */
export type Dial = (to: { address: string; port: number; signal: AbortSignal }) => Promise<Duplex>

export type Routed =
  | {
      readonly kind: 'open'
      readonly stream: Duplex
      readonly rule: string
      /** The address that was dialled; absent behind an upstream proxy. */
      readonly address?: string
      /** Set when the stream leads to an upstream proxy that wants absolute-form requests. */
      readonly proxy?: { readonly authorization: string | null }
    }
  | { readonly kind: 'refused'; readonly verdict: Verdict }
  /** Allowed by `entry`, but could not be reached. */
  | {
      readonly kind: 'failed'
      readonly entry: string
      readonly rule: string
      readonly reason: string
      readonly address?: string
    }

export interface RouteOptions {
  readonly policy: EgressPolicy
  readonly resolve: BoundedResolve
  readonly dial: Dial
  readonly upstream: Upstream
  /** Milliseconds for all attempts together. */
  readonly connectTimeout: number
}

/** How many addresses of one answer are tried. */
const maxAttempts = 4

export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)

export const tcpDial: Dial = ({ address, port, signal }) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true })
    const abort = () => socket.destroy(new Error('timed out'))
    signal.addEventListener('abort', abort, { once: true })
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort)
      resolve(socket)
    })
    socket.on('error', reject)
  })

const within = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('timed out')), { once: true })
    work.then(resolve, reject)
  })

/** A lookup that the caller stops waiting for when the signal aborts. */
type BoundedResolve = (host: string, signal: AbortSignal) => Promise<string[]>

/** Lets at most `limit` lookups run, hanging ones included; the others wait for their turn. */
export function boundedResolve(resolve: Resolve, limit: number): BoundedResolve {
  const waiting = new Set<() => void>()
  let running = 0
  const turn = (signal: AbortSignal) =>
    new Promise<void>((go, fail) => {
      waiting.add(go)
      signal.addEventListener('abort', () => waiting.delete(go) && fail(new Error('timed out')), {
        once: true,
      })
    })
  const release = () => {
    const [next] = waiting
    if (!next) running--
    else if (waiting.delete(next)) next()
  }
  return async (host, signal) => {
    if (running >= limit) await turn(signal)
    else running++
    return within((async () => resolve(host))().finally(release), signal)
  }
}

const messageOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code || (error instanceof Error ? error.message : String(error))
}

/** RFC 6761: `localhost` and what is under it is the loopback, whatever DNS says. */
const isLocalhost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost')

/** Gives the reason instead when the name could not be resolved. */
async function addressesOf(
  target: Target,
  options: RouteOptions,
  signal: AbortSignal,
): Promise<Address[] | string> {
  if (target.address) return [target.address]
  if (isLocalhost(target.host)) return ['127.0.0.1', '::1'].flatMap((text) => parseAddress(text) ?? [])
  try {
    const answer = await options.resolve(target.host, signal)
    return answer.flatMap((text) => parseAddress(text) ?? [])
  } catch (error) {
    return messageOf(error)
  }
}

/**
 * Checks a target, resolves it once and opens a stream to exactly an address that passed the check. Behind an
 * upstream proxy the name goes to the proxy: then all addresses of the local answer must pass, and where there
 * is no local DNS only the name and literal addresses are checked, the rest is that proxy's.
 */
export async function route(target: Target, via: 'connect' | 'http', options: RouteOptions): Promise<Routed> {
  const verdict = options.policy.target(target)
  if (!verdict.allowed) return { kind: 'refused', verdict }
  const entry = verdict.rule
  const signal = AbortSignal.timeout(options.connectTimeout)
  const proxy = upstreamFor(options.upstream, target, via)

  const addresses = await addressesOf(target, options, signal)
  if (typeof addresses === 'string' && !proxy)
    return { kind: 'failed', entry, rule: 'unresolved', reason: `the name does not resolve: ${addresses}` }
  const answers = typeof addresses === 'string' ? [] : addresses
  const checked = answers.map((address) => ({
    address,
    verdict: target.address ? verdict : options.policy.address(address, target.port),
  }))
  const bad = checked.find((each) => !each.verdict.allowed)
  const good = checked.filter((each) => each.verdict.allowed)
  if (bad && (proxy || good.length === 0)) return { kind: 'refused', verdict: bad.verdict }

  if (proxy) {
    try {
      return { kind: 'open', rule: entry, ...(await proxy.open(target, signal)) }
    } catch (error) {
      return { kind: 'failed', entry, rule: 'upstream_proxy', reason: messageOf(error) }
    }
  }
  const tried: string[] = []
  const attempts = good.slice(0, maxAttempts)
  for (const { address } of attempts) {
    const each = AbortSignal.any([signal, AbortSignal.timeout(options.connectTimeout / attempts.length)])
    try {
      const stream = await options.dial({ address: address.toString(), port: target.port, signal: each })
      return { kind: 'open', stream, rule: entry, address: address.toString() }
    } catch (error) {
      tried.push(`${address}: ${messageOf(error)}`)
    }
  }
  const reason = tried.join(', ') || 'the name has no address'
  return {
    kind: 'failed',
    entry,
    rule: 'unreachable',
    reason,
    ...(good[0] ? { address: good[0].address.toString() } : {}),
  }
}
