import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

export interface AddressRange {
  readonly base: Address
  readonly bits: number
}

/** Why an address is not one of the public internet. */
interface SpecialRange {
  /** The rule's name, for example `loopback`. */
  readonly rule: string
  /** In words, for people. */
  readonly reason: string
  /** The block it belongs to; null when that is everything outside the public blocks. */
  readonly block: AddressRange | null
}

const range = (cidr: string): AddressRange => {
  const [base, bits] = ipaddr.parseCIDR(cidr)
  return { base, bits }
}

/** From IANA's special-purpose registries. The documentation and benchmark blocks are harmless and left out. */
const refused: readonly (readonly [rule: string, block: AddressRange])[] = [
  ['unspecified', range('0.0.0.0/8')],
  ['private', range('10.0.0.0/8')],
  ['carrier_grade_nat', range('100.64.0.0/10')],
  ['loopback', range('127.0.0.0/8')],
  ['link_local', range('169.254.0.0/16')],
  ['private', range('172.16.0.0/12')],
  ['reserved', range('192.0.0.0/24')],
  ['private', range('192.168.0.0/16')],
  ['multicast', range('224.0.0.0/4')],
  ['broadcast', range('255.255.255.255/32')],
  ['reserved', range('240.0.0.0/4')],
  ['unspecified', range('::/128')],
  ['loopback', range('::1/128')],
  ['ipv4_in_ipv6', range('::/96')],
  ['ipv4_in_ipv6', range('::ffff:0:0:0/96')],
  ['ipv4_in_ipv6', range('64:ff9b:1::/48')],
  ['unique_local', range('fc00::/7')],
  ['link_local', range('fe80::/10')],
  ['reserved', range('fec0::/10')],
  ['multicast', range('ff00::/8')],
]

/** Blocks of IPv6 that carry an IPv4 address, with the byte it starts at and whether its bits are inverted. */
const carriers: readonly { block: AddressRange; name: string; at: number; inverted: boolean }[] = [
  { block: range('64:ff9b::/96'), name: 'NAT64', at: 12, inverted: false },
  { block: range('2002::/16'), name: '6to4', at: 2, inverted: false },
  { block: range('2001::/32'), name: 'Teredo server', at: 4, inverted: false },
  { block: range('2001::/32'), name: 'Teredo client', at: 12, inverted: true },
]

const globalUnicast = range('2000::/3')

export function inRange(address: Address, { base, bits }: AddressRange): boolean {
  return address.kind() === base.kind() && address.match(base, bits)
}

/** Whether all of `inner` lies in `outer`. */
export function rangeWithin(inner: AddressRange, outer: AddressRange): boolean {
  return inner.bits >= outer.bits && inRange(inner.base, outer)
}

/**
 * The address that a text in its plain form stands for; null for anything else, shortened and hexadecimal
 * IPv4 and zone ids included. IPv4-mapped IPv6 becomes IPv4, which is what a socket makes of it.
 */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return ipaddr.IPv4.parse(text)
  if (!isIPv6(text) || text.includes('%')) return null
  return ipaddr.process(text)
}

/** `ADDRESS/BITS`; null for anything else. Bits beyond the prefix are cleared. */
export function parseRange(text: string): AddressRange | null {
  const [, address = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const bits = Number(digits)
  if (digits === '' || (!isIPv4(address) && (!isIPv6(address) || address.includes('%')))) return null
  if (bits > (isIPv4(address) ? 32 : 128)) return null
  const v4 = isIPv4(address)
  const base = v4
    ? ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`)
    : ipaddr.IPv6.networkAddressFromCIDR(`${address}/${bits}`)
  if (base.kind() === 'ipv6' && bits >= 96 && (base as ipaddr.IPv6).isIPv4MappedAddress())
    return { base: (base as ipaddr.IPv6).toIPv4Address(), bits: bits - 96 }
  return { base, bits }
}

/** The range of one address. */
export function rangeOf(address: Address): AddressRange {
  return { base: address, bits: address.kind() === 'ipv4' ? 32 : 128 }
}

const interfaceIdCarriesIPv4 = (bytes: number[]): boolean =>
  (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe

function carried(address: Address): SpecialRange | null {
  const bytes = address.toByteArray()
  const candidates = carriers.filter(({ block }) => inRange(address, block))
  if (interfaceIdCarriesIPv4(bytes))
    candidates.push({ block: globalUnicast, name: 'ISATAP', at: 12, inverted: false })
  for (const { block, name, at, inverted } of candidates) {
    const inner = new ipaddr.IPv4(bytes.slice(at, at + 4).map((byte) => (inverted ? byte ^ 0xff : byte)))
    const special = specialRange(inner)
    if (special)
      return {
        rule: special.rule,
        reason: `${name} address that carries ${inner}`,
        block: block === globalUnicast ? null : block,
      }
  }
  return null
}

/** What makes an address unfit to be reached from a sandbox; null for the public internet. */
export function specialRange(address: Address): SpecialRange | null {
  const hit = refused.find(([, block]) => inRange(address, block))
  if (hit) return { rule: hit[0], reason: `${hit[0].replaceAll('_', ' ')} address`, block: hit[1] }
  if (address.kind() === 'ipv4') return null
  const special = carried(address)
  if (special) return special
  const nat64 = carriers[0]
  if (inRange(address, globalUnicast) || (nat64 && inRange(address, nat64.block))) return null
  return { rule: 'reserved', reason: 'address outside the public blocks', block: null }
}
