import { expect, test } from 'vitest'
import { parseAddress, specialRange } from './address.ts'
import { egressPolicy } from './policy.ts'
import { parseTarget } from './target.ts'

const verdict = (patterns: string[], authority: string) =>
  egressPolicy(patterns).target(parseTarget(authority))

test.each([
  ['example.com:443', 'example.com:443', true],
  ['example.com:443', 'EXAMPLE.com.:443', true],
  ['Example.COM.:443', 'example.com:443', true],
  ['example.com:443', 'example.com:8443', false],
  ['example.com:443', 'www.example.com:443', false],
  ['example.com:443', 'notexample.com:443', false],
  ['example.com:443', 'example.com.evil.net:443', false],
  ['example.com', 'example.com:443', true],
  ['example.com', 'example.com:80', true],
  ['example.com', 'example.com:22', false],
  ['example.com:*', 'example.com:22', true],
  ['*.example.com:443', 'a.b.example.com:443', true],
  ['*.example.com:443', 'example.com:443', false],
  ['*.example.com:443', 'evilexample.com:443', false],
  ['*:443', 'anything.net:443', true],
  ['*:443', 'anything.net:80', false],
  ['*', '93.184.216.34:443', true],
  ['bücher.example:443', 'xn--bcher-kva.example:443', true],
  ['93.184.216.34:443', '93.184.216.34:443', true],
  ['93.184.216.0/24:443', '93.184.216.34:443', true],
  ['93.184.216.0/24:443', '93.184.217.34:443', false],
  ['10.0.0.0/8:5432', '10.1.2.3:5432', true],
  ['10.0.0.0/8:5432', '[::ffff:10.1.2.3]:5432', true],
  ['[fd00::/8]:443', '[fd00::1]:443', true],
  ['[fd00::]/8:443', '[fd00::1]:443', true],
  ['[2606:2800::1]:443', '[2606:2800:0:0::1]:443', true],
  ['[2606:2800::1]', '[2606:2800::1]:80', true],
  ['93.184.216.34:443', 'example.com:443', false],
  ['192.0.2.0/24:443', '192.0.2.1:443', true],
])('%s and %s: %s', (pattern, target, allowed) => {
  expect(verdict([pattern], target)).toMatchObject({ allowed, rule: allowed ? pattern : 'not_allowed' })
})

test.each([
  'https://example.com',
  'example.com:99999',
  'example.com:0',
  'example.com:http',
  'exa mple.com',
  'a*.example.com',
  '*.*.example.com',
  'fd00::1',
  '[fd00::1',
  '[10.0.0.1]:443',
  '10.0.0.0/33:443',
  '[fd00::/129]:443',
  '0x7f.1:80',
  '127.1:80',
  '[fe80::1%eth0]:80',
  'user@example.com:443',
  '-bad.example:443',
  ':443',
  '',
])('the pattern %j is refused by name', (pattern) => {
  expect(() => egressPolicy(['good.example:443', pattern])).toThrow(
    expect.objectContaining({
      code: 'invalid_input',
      message: expect.stringContaining(JSON.stringify(pattern)),
    }),
  )
})

test.each([
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['10.255.255.255', 'private'],
  ['100.64.0.1', 'carrier_grade_nat'],
  ['100.127.255.255', 'carrier_grade_nat'],
  ['127.0.0.1', 'loopback'],
  ['127.255.0.9', 'loopback'],
  ['169.254.169.254', 'link_local'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.0.0.170', 'reserved'],
  ['192.168.1.1', 'private'],
  ['224.0.0.251', 'multicast'],
  ['239.255.255.250', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::7f00:1', 'ipv4_in_ipv6'],
  ['::127.0.0.1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:a9fe:a9fe', 'link_local'],
  ['::ffff:0:127.0.0.1', 'ipv4_in_ipv6'],
  ['64:ff9b::10.0.0.1', 'private'],
  ['64:ff9b::a9fe:a9fe', 'link_local'],
  ['64:ff9b:1::1', 'ipv4_in_ipv6'],
  ['2002:7f00:1::1', 'loopback'],
  ['2002:c0a8:101::1', 'private'],
  ['2001:0:7f00:1::1', 'loopback'],
  ['2001:0:4136:e378:8000:63bf:80ff:fffe', 'loopback'],
  ['2606:2800::5efe:10.0.0.1', 'private'],
  ['2606:2800::200:5efe:10.0.0.1', 'private'],
  ['fc00::1', 'unique_local'],
  ['fdff::1', 'unique_local'],
  ['fe80::1', 'link_local'],
  ['fec0::1', 'reserved'],
  ['ff02::1', 'multicast'],
  ['100::1', 'reserved'],
  ['5f00::1', 'reserved'],
  ['4000::1', 'reserved'],
])('%s is refused as %s, even for an allowed name', (text, rule) => {
  const address = parseAddress(text)
  if (!address) throw new Error('no address')
  const patterns = ['*', 'some.name:443', '0.0.0.0/0:*', '[::/0]:*']
  expect(egressPolicy(patterns).address(address, 443)).toMatchObject({ allowed: false, rule })
  const own = text.includes(':') ? `[${text}]` : text
  expect(egressPolicy([`${own}:443`]).address(address, 443)).toMatchObject({ allowed: true })
  expect(egressPolicy([`${own}:80`]).address(address, 443)).toMatchObject({ allowed: false })
})

test.each([
  '1.1.1.1',
  '100.128.0.1',
  '172.32.0.1',
  '192.0.2.1',
  '198.51.100.7',
  '203.0.113.9',
  '198.18.0.1',
  '198.19.255.255',
  '2001:db8::1',
  '2606:4700::1111',
  '64:ff9b::1.1.1.1',
  '2002:101:101::1',
  '::ffff:1.1.1.1',
])('%s is harmless', (text) => {
  const address = parseAddress(text)
  if (!address) throw new Error('no address')
  expect(specialRange(address)).toBeNull()
})

test('an address that no entry covers is refused by what it is', () => {
  expect(verdict(['10.0.0.0/8:5432'], '10.1.2.3:5433')).toMatchObject({ allowed: false, rule: 'private' })
  expect(verdict([], '169.254.169.254:80')).toMatchObject({ allowed: false, rule: 'link_local' })
})

test('a range wider than a special block does not open it, one within it does', () => {
  const loopback = parseAddress('127.0.0.1')
  if (!loopback) throw new Error('no address')
  expect(egressPolicy(['126.0.0.0/7:80']).address(loopback, 80).allowed).toBe(false)
  expect(egressPolicy(['127.0.0.0/8:80']).address(loopback, 80).allowed).toBe(true)
})

test.each([
  '0x7f.1:80',
  '0x7f000001:80',
  '2130706433:80',
  '127.1:80',
  '127.0.1:80',
  '0177.0.0.1:80',
  '127.0.0.01:80',
  '127.0.0.1.:80x',
  '127%2e0%2e0%2e1:80',
  'exa%6dple.com:80',
  'user@example.com:80',
  'user:pw@example.com:80',
  'ex\u0430mple.com:80',
  '\uff11\uff12\uff17.0.0.1:80',
  '[::1%25lo]:80',
  '[::1:80',
  '::1:80',
  '[example.com]:80',
  '[127.0.0.1]:80',
  'example.com',
  'example.com:',
  'example.com:80:80',
  'example.com:65536',
  'example.com:-1',
  'example.com: 80',
  'example..com:80',
  '.example.com:80',
  'example.com..:80',
  `${'a'.repeat(64)}.com:80`,
  `${'a.'.repeat(130)}com:80`,
  'a/b:80',
  'a\\b:80',
  '',
])('the target %j is refused', (authority) => {
  expect(() => parseTarget(authority)).toThrow(expect.objectContaining({ code: 'invalid_input' }))
})

test.each([
  ['127.0.0.1.:80', '127.0.0.1'],
  ['[::FFFF:7F00:1]:80', '127.0.0.1'],
  ['[0:0:0:0:0:0:0:1]:80', '::1'],
])('%s is the address %s', (authority, host) => {
  expect(parseTarget(authority)).toMatchObject({ host, address: expect.anything() })
  expect(verdict(['*'], authority)).toMatchObject({ allowed: false, rule: 'loopback' })
})
