import type { Verdict } from './policy.ts'
import { authorityOf, type Target } from './target.ts'

/** What the client in the sandbox is told when its request does not go through. */
export interface Refusal {
  readonly status: number
  /** The reason phrase: some clients (pip) show nothing else. */
  readonly phrase: string
  /** The `X-Forge-Egress` header: `refused` or `failed`, then `rule` and `target`. */
  readonly header: string
  readonly body: string
}

export const refusalHeader = 'X-Forge-Egress'

function waysToAllow(target: Target, { rule }: Verdict): string[] {
  const where = authorityOf(target)
  if (rule === 'not_allowed' || target.address)
    return [
      `to allow it for one run: forge run --allow ${where}`,
      `to allow it for every sandbox: forge config set egress.allow … (the whole list, with ${where} added)`,
    ]
  return [
    'to allow it, the address or its range needs an entry of its own besides the name:',
    `forge run --allow ${where} --allow ADDRESS/BITS:${target.port}, or forge config set egress.allow …`,
  ]
}

/** For what the policy refused; `target` is null when the request did not name a valid one. */
export function refused(target: Target | null, verdict: Verdict, status = 403): Refusal {
  const where = target ? authorityOf(target) : null
  const lines = [`Forge refused this connection${where ? ` to ${where}` : ''}.`, `rule: ${verdict.rule}`]
  if (verdict.reason) lines.push(`reason: ${verdict.reason}`)
  if (where && target && status === 403) lines.push(...waysToAllow(target, verdict))
  return {
    status,
    phrase: `Refused by Forge egress rule ${verdict.rule}${where ? `: ${where}` : ''}`,
    header: `refused; rule=${verdict.rule}${where ? `; target="${where}"` : ''}`,
    body: `${lines.join('\n')}\n`,
  }
}

/** For what the policy allows but could not be reached. */
export function failed(target: Target, failure: { rule: string; reason: string; status?: number }): Refusal {
  const where = authorityOf(target)
  return {
    status: failure.status ?? 502,
    phrase: `Forge egress could not reach ${where}`,
    header: `failed; rule=${failure.rule}; target="${where}"`,
    body: `Forge allows ${where} but could not reach it.\nrule: ${failure.rule}\nreason: ${failure.reason}\n`,
  }
}

/** The whole response, for a connection that ends with it. */
export function responseText({ status, phrase, header, body }: Refusal): string {
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `${refusalHeader}: ${header}`,
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
