import { createServer } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { expect, test } from 'vitest'
import type { EgressOptions } from './proxy.ts'
import { parseTarget } from './target.ts'
import { connectVia, listen, proxyWith, readUntil, tcpServer } from './testkit.ts'
import { parseUpstream } from './upstream.ts'

/** A forward proxy that leads everything to `port` on the loopback and notes what it was asked for. */
async function upstreamProxy(port: number, options: { refuse?: boolean } = {}) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`)
    response.end('by proxy')
  })
  server.on('connect', (request, client, head) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`)
    client.on('error', () => undefined)
    if (options.refuse) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const socket = connectTcp(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.write(head)
      client.pipe(socket).pipe(client)
    })
    socket.on('error', () => undefined)
  })
  return { asked, url: `http://ada:pass%20word@127.0.0.1:${await listen(server)}` }
}

const credentials = `Basic ${Buffer.from('ada:pass word').toString('base64')}`
const noDns: EgressOptions['resolve'] = async () => Promise.reject(new Error('no DNS here'))

test('CONNECT goes through the upstream proxy by name, with its credentials, without a local DNS', async () => {
  const { asked, url } = await upstreamProxy(await tcpServer((socket) => socket.write('220 hi\r\n')))
  const { open, decisions } = proxyWith(['mail.example:25'], { upstream: { https: url }, resolve: noDns })
  const stream = open()
  expect(await connectVia(stream, 'mail.example:25')).toMatch(/ 200 /)
  expect(await readUntil(stream, '\r\n')).toBe('220 hi\r\n')
  expect(asked).toEqual([`CONNECT mail.example:25 ${credentials}`])
  expect(decisions).toEqual([
    { host: 'mail.example', port: 25, via: 'connect', allowed: true, rule: 'mail.example:25' },
  ])
})

test('plain HTTP goes to it in absolute form, and the sandbox’s own proxy credentials do not', async () => {
  const { asked, url } = await upstreamProxy(0)
  const { open } = proxyWith(['good.example:80'], { upstream: { http: url }, resolve: noDns })
  const stream = open()
  stream.write('GET http://GOOD.example/a?b HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic mine\r\n\r\n')
  expect(await readUntil(stream, 'by proxy')).toMatch(/^HTTP\/1.1 200 /)
  expect(asked).toEqual([`GET http://good.example:80/a?b ${credentials}`])
})

test.each([
  ['127.0.0.1:80', 'loopback'],
  ['169.254.169.254:80', 'link_local'],
  ['[::ffff:10.0.0.1]:80', 'private'],
  ['localhost:80', 'loopback'],
  ['x.localhost:80', 'loopback'],
])('%s is refused before the upstream proxy hears of it', async (authority, rule) => {
  const { asked, url } = await upstreamProxy(0)
  const upstream = { https: url, http: url }
  const { open } = proxyWith(['*'], { upstream, resolve: noDns })
  expect(await connectVia(open(), authority)).toContain(`rule=${rule}`)
  const stream = open()
  stream.write(`GET http://${authority}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
  expect(await readUntil(stream, '\r\n\r\n')).toContain(`rule=${rule}`)
  expect(asked).toEqual([])
})

test('where the name does resolve here, every address of the answer must pass', async () => {
  const { asked, url } = await upstreamProxy(0)
  const resolve = async () => ['192.0.2.1', '10.0.0.1']
  const { open } = proxyWith(['two.example:80'], { upstream: { https: url }, resolve })
  expect(await connectVia(open(), 'two.example:80')).toContain('rule=private')
  expect(asked).toEqual([])
})

test('a proxy that refuses, and one that is not there, are failures that say so', async () => {
  const { url } = await upstreamProxy(0, { refuse: true })
  const refusing = proxyWith(['a.example:443'], { upstream: { https: url }, resolve: noDns })
  const stream = refusing.open()
  expect(await connectVia(stream, 'a.example:443')).toContain('failed; rule=upstream_proxy')
  expect(await readUntil(stream, '407')).toContain('the upstream proxy answered 407')
  const absent = proxyWith(['a.example:443'], { upstream: { https: 'http://127.0.0.1:1' }, resolve: noDns })
  expect(await connectVia(absent.open(), 'a.example:443')).toContain('failed; rule=upstream_proxy')
})

test('NO_PROXY targets are reached directly, with all checks', async () => {
  const { asked, url } = await upstreamProxy(0)
  const port = await tcpServer((socket) => socket.write('direct'))
  const upstream = { https: url, noProxy: 'inner.example, 127.0.0.0/8' }
  const { open } = proxyWith([`127.0.0.1:${port}`, 'inner.example:80'], {
    upstream,
    resolve: async () => ['10.0.0.1'],
  })
  const stream = open()
  await connectVia(stream, `127.0.0.1:${port}`)
  expect(await readUntil(stream, 'direct')).toBe('direct')
  expect(await connectVia(open(), 'inner.example:80')).toContain('rule=private')
  expect(asked).toEqual([])
})

test.each([
  ['example.com', ['example.com:443', 'www.example.com:80'], ['notexample.com:443']],
  ['.example.com', ['example.com:443', 'www.example.com:80'], ['example.org:443']],
  ['*.example.com', ['www.example.com:80'], ['example.org:443']],
  ['example.com:8080', ['example.com:8080'], ['example.com:443']],
  ['10.0.0.0/8,::1', ['10.1.1.1:1', '[::1]:1'], ['11.0.0.1:1', 'example.com:1']],
  ['[fd00::/8]', ['[fd00::1]:443'], ['[fe80::1]:443']],
  ['*', ['example.com:1', '1.1.1.1:1'], []],
  ['', [], ['example.com:1']],
])('NO_PROXY=%s', (noProxy, exempt, others) => {
  const upstream = parseUpstream({ noProxy })
  expect(exempt.map((each) => upstream.exempt(parseTarget(each)))).toEqual(exempt.map(() => true))
  expect(others.map((each) => upstream.exempt(parseTarget(each)))).toEqual(others.map(() => false))
})

test('a proxy URL that cannot be used is a configuration error that does not show its password', () => {
  for (const https of ['socks5://u:pw@host:1', 'http://', 'http://u:pw@ho st'])
    expect(() => parseUpstream({ https })).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: 'HTTPS_PROXY is no http:// or https:// URL',
      }),
    )
})
