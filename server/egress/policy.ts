import { ForgeError } from '#core/errors.ts'
import {
  type Address,
  type AddressRange,
  inRange,
  parseAddress,
  parseRange,
  rangeOf,
  rangeWithin,
  specialRange,
} from './address.ts'
import { parsePort, parseTypedName, type Target } from './target.ts'

/** One decision of the egress policy, as the ledger records it. */
export interface EgressDecision {
  readonly host: string
  readonly port: number
  readonly via: 'connect' | 'http'
  readonly allowed: boolean
  /** The entry that allowed it, or the name of the rule that refused it. */
  readonly rule: string
  readonly reason?: string
  /** The address that was dialled. */
  readonly address?: string
  /** How many such decisions it stands for; absent means one. */
  readonly count?: number
}

export interface Verdict {
  readonly allowed: boolean
  /** The entry that allows it, or the name of the rule that refuses it. */
  readonly rule: string
  readonly reason?: string
}

export interface EgressPolicy {
  /** Whether the target may be tried. A name's addresses must be asked for with `address` too. */
  target(target: Target): Verdict
  /** Whether a name's resolved address may be dialled on that port. */
  address(address: Address, port: number): Verdict
}

type Matcher =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'subdomains'; readonly suffix: string }
  | { readonly kind: 'range'; readonly range: AddressRange }

interface Entry {
  readonly text: string
  readonly ports: readonly number[] | 'any'
  readonly match: Matcher
}

/** The ports of an entry that names none. */
const defaultPorts: readonly number[] = [443, 80]

const invalid = (pattern: string, why: string): ForgeError =>
  new ForgeError('invalid_input', `egress pattern ${JSON.stringify(pattern)}: ${why}`, {
    hint: 'HOST:PORT, where HOST is a name, *.NAME, an address or ADDRESS/BITS (IPv6 in brackets), and PORT a number or *',
    data: { pattern },
  })

function parseMatcher(pattern: string, host: string, bracketed: boolean): Matcher {
  if (bracketed || host.includes('/') || parseAddress(host)) {
    const address = parseAddress(host)
    const range = address ? rangeOf(address) : parseRange(host)
    if (!range || (bracketed && !host.includes(':'))) throw invalid(pattern, 'the address is not valid')
    return { kind: 'range', range }
  }
  if (host === '*') return { kind: 'any' }
  const wild = host.startsWith('*.')
  const name = parseTypedName(wild ? host.slice(2) : host)
  if (name === null) throw invalid(pattern, 'the host is not valid')
  return wild ? { kind: 'subdomains', suffix: `.${name}` } : { kind: 'name', name }
}

function parsePorts(pattern: string, text: string | undefined): Entry['ports'] {
  if (text === undefined) return defaultPorts
  if (text === '*') return 'any'
  const port = parsePort(text)
  if (port === null) throw invalid(pattern, 'the port is no number from 1 to 65535')
  return [port]
}

/** `[HOST]:PORT`, `[HOST/BITS]:PORT`, `[HOST]/BITS:PORT`, `HOST:PORT`, each with or without the port. */
function parseEntry(pattern: string): Entry {
  if (pattern.includes('://')) throw invalid(pattern, 'a URL is no pattern')
  const bracketed = /^\[([^\]]*)\](\/\d{1,3})?(?::(.*))?$/.exec(pattern)
  if (bracketed) {
    const [, host = '', bits = '', port] = bracketed
    return {
      text: pattern,
      ports: parsePorts(pattern, port),
      match: parseMatcher(pattern, host + bits, true),
    }
  }
  const [host = '', port, ...more] = pattern.split(':')
  if (more.length > 0) throw invalid(pattern, 'an IPv6 address needs brackets')
  return { text: pattern, ports: parsePorts(pattern, port), match: parseMatcher(pattern, host, false) }
}

const covers = (entry: Entry, port: number): boolean => entry.ports === 'any' || entry.ports.includes(port)

const matchesName = ({ match }: Entry, name: string): boolean =>
  match.kind === 'any' ||
  (match.kind === 'name' && match.name === name) ||
  (match.kind === 'subdomains' && name.endsWith(match.suffix))

/** A special block is opened only by an address or by a range that lies within it: `0.0.0.0/0` means the internet. */
function opens({ match }: Entry, block: AddressRange | null): boolean {
  if (match.kind !== 'range') return false
  const single = match.range.bits === (match.range.base.kind() === 'ipv4' ? 32 : 128)
  return single || (block !== null && rangeWithin(match.range, block))
}

/**
 * The allowlist of `host:port` patterns. An entry without port stands for 443 and 80; `*.host` is every
 * subdomain but not the host; `*` is every name and public address. Private, loopback and other special
 * addresses need an address or CIDR entry of their own, a name that resolves to one needs both entries.
 * Throws `invalid_input` naming the pattern.
 */
export function egressPolicy(patterns: readonly string[]): EgressPolicy {
  const entries = patterns.map(parseEntry)

  const checkAddress = (address: Address, candidates: readonly Entry[]): Verdict | null => {
    const covering = candidates.filter(
      ({ match }) => match.kind === 'any' || (match.kind === 'range' && inRange(address, match.range)),
    )
    const special = specialRange(address)
    if (!special) return covering[0] ? { allowed: true, rule: covering[0].text } : null
    const opener = covering.find((entry) => opens(entry, special.block))
    if (opener) return { allowed: true, rule: opener.text }
    return { allowed: false, rule: special.rule, reason: `${address} is a ${special.reason}` }
  }

  const forPort = (port: number) => entries.filter((entry) => covers(entry, port))
  return {
    target({ host, port, address }) {
      const candidates = forPort(port)
      const entry = candidates.find((each) => matchesName(each, host))
      const verdict = address
        ? checkAddress(address, candidates)
        : entry && { allowed: true, rule: entry.text }
      return verdict ?? { allowed: false, rule: 'not_allowed', reason: 'no entry of the allowlist covers it' }
    },
    address(address, port) {
      const verdict = checkAddress(address, forPort(port))
      return verdict ?? { allowed: true, rule: 'public_address' }
    },
  }
}
