import { domainToASCII } from 'node:url'
import { ForgeError } from '#core/errors.ts'
import { type Address, parseAddress } from './address.ts'

/** Where a request wants to go, in one canonical spelling. */
export interface Target {
  /** A lower-case name without trailing dot, or an address without brackets. */
  readonly host: string
  readonly port: number
  /** Set when the host is an address literal. */
  readonly address: Address | null
}

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** A last label that resolvers read as part of a number: `127.1`, `2130706433`, `0x7f.1`. */
const numeric = /^(?:\d+|0x[0-9a-f]*)$/

/** Lower case, ASCII, no trailing dot; null when it is no host name that DNS could hold. */
function parseName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, '')
  const labels = name.split('.')
  if (name.length > 253 || !labels.every((each) => label.test(each))) return null
  return numeric.test(labels.at(-1) ?? '') ? null : name
}

/** A name that a person typed: international names become their ASCII form. */
export function parseTypedName(text: string): string | null {
  return parseName(/^[\x20-\x7e]*$/.test(text) ? text : domainToASCII(text))
}

/** A name or an address (IPv6 without brackets) in its canonical spelling. */
export function parseHost(text: string): Pick<Target, 'host' | 'address'> | null {
  const address = parseAddress(text.replace(/\.$/, ''))
  if (address) return { host: address.toString(), address }
  const host = parseName(text)
  return host === null ? null : { host, address: null }
}

export function parsePort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : null
}

/** `host:port` as a URL or a log shows it. */
export function authorityOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Reads `host:port` from a request. Spellings that a resolver could read in another way (numbers as addresses,
 * percent signs, user names, raw Unicode) throw `invalid_input`.
 */
export function parseTarget(authority: string, defaultPort?: number): Target {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(.*))?$/.exec(authority) ?? []
  const host = bracketed !== undefined ? parseHost(bracketed) : parseHost(plain ?? '')
  const port = digits === undefined ? defaultPort : parsePort(digits)
  const misplaced = bracketed !== undefined && !bracketed.includes(':')
  if (!host || !port || misplaced)
    throw new ForgeError('invalid_input', `${JSON.stringify(authority.slice(0, 300))} is no valid host:port`)
  return { ...host, port }
}
