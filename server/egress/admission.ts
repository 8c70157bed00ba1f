import { ForgeError } from '#core/errors.ts'
import type { DecisionLog } from './decisions.ts'
import type { EgressDecision, Verdict } from './policy.ts'
import { failed, type Refusal, refused } from './refusal.ts'
import { type Routed, type RouteOptions, route } from './route.ts'
import { parseTarget, type Target } from './target.ts'

export type OpenRoute = Extract<Routed, { kind: 'open' }>

export type Admitted =
  | { readonly target: Target; readonly path: string; readonly to: OpenRoute }
  | { readonly refusal: Refusal }

export interface Admission {
  /** `url` is an authority (`host:port`). */
  connect(url: string): Promise<Admitted>
  /** `url` is in absolute form (`http://host/path`). */
  http(url: string): Promise<Admitted>
}

const overRate: Verdict = {
  allowed: false,
  rule: 'decision_rate',
  reason: 'more different targets in a short time than the ledger records',
}

/** Splits an absolute-form request target; throws `invalid_input`. */
function parseAbsolute(url: string): { target: Target; path: string } {
  const [, authority, path] = /^http:\/\/([^/?#]*)([^#]*)/i.exec(url) ?? []
  if (authority === undefined || path === undefined)
    throw new ForgeError(
      'invalid_input',
      'this is the egress proxy of a Forge sandbox: it takes CONNECT HOST:PORT and http://HOST/PATH',
    )
  return { target: parseTarget(authority, 80), path: path.startsWith('/') ? path : `/${path}` }
}

/** What a refused request line shows in the ledger when it names no valid target. */
const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?').slice(0, 253)

/** Decides about each request, records the decision and opens the way. No byte passes before the record is made. */
export function admission(log: DecisionLog, options: RouteOptions): Admission {
  const invalid = (url: string, via: EgressDecision['via'], error: unknown): Admitted => {
    const reason = ForgeError.from(error).message
    const verdict: Verdict = { allowed: false, rule: 'invalid_target', reason }
    const recorded = log.record({ host: printable(url), port: 0, via, ...verdict })
    return { refusal: recorded ? refused(null, verdict, 400) : refused(null, overRate, 429) }
  }

  const admit = async (via: EgressDecision['via'], target: Target, path: string): Promise<Admitted> => {
    const routed = await route(target, via, options)
    const { host, port } = target
    const base = { host, port, via }
    if (routed.kind === 'refused') {
      const recorded = log.record({ ...base, ...routed.verdict })
      return { refusal: recorded ? refused(target, routed.verdict) : refused(target, overRate, 429) }
    }
    const address = routed.address === undefined ? {} : { address: routed.address }
    if (routed.kind === 'failed') {
      const recorded = log.record({
        ...base,
        ...address,
        allowed: true,
        rule: routed.entry,
        reason: routed.reason,
      })
      return { refusal: recorded ? failed(target, routed) : refused(target, overRate, 429) }
    }
    if (log.record({ ...base, ...address, allowed: true, rule: routed.rule }))
      return { target, path, to: routed }
    routed.stream.destroy()
    return { refusal: refused(target, overRate, 429) }
  }

  return {
    async connect(url) {
      let target: Target
      try {
        target = parseTarget(url)
      } catch (error) {
        return invalid(url, 'connect', error)
      }
      return admit('connect', target, '')
    },
    async http(url) {
      let parsed: ReturnType<typeof parseAbsolute>
      try {
        parsed = parseAbsolute(url)
      } catch (error) {
        return invalid(url, 'http', error)
      }
      return admit('http', parsed.target, parsed.path)
    },
  }
}
