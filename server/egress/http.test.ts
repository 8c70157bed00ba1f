import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { dialTo, listen, proxyWith, readAll, readUntil, tcpServer } from './testkit.ts'

/** A server that notes the raw bytes it gets and answers each connection with `answer`. */
async function rawServer(answer: string) {
  const received: string[] = []
  const port = await tcpServer((socket) => {
    const index = received.push('') - 1
    socket.on('data', (data) => {
      received[index] += data.toString('latin1')
      if (received[index]?.includes('\r\n\r\n')) socket.end(answer)
    })
  })
  return { received, port }
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const world = async (answer = ok) => {
  const { received, port } = await rawServer(answer)
  const { dial, dialled } = dialTo(port)
  return {
    ...proxyWith(['good.example:80'], { resolve: async () => ['192.0.2.1'], dial }),
    received,
    dialled,
  }
}

async function send(stream: Duplex, ...lines: string[]): Promise<string> {
  stream.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return readUntil(stream, '\r\n\r\n')
}

test('what concerns only the way to the proxy is not passed on, and Host is the target', async () => {
  const { open, received } = await world()
  await send(
    open(),
    'GET http://good.example/a?b=c HTTP/1.1',
    'Host: other.example',
    'Proxy-Authorization: Basic c2VjcmV0',
    'Proxy-Connection: keep-alive',
    'Connection: keep-alive, X-Private',
    'X-Private: 1',
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'X-Forge-Egress: forged',
    'X-Kept: One',
    'X-Kept: Two',
  )
  expect(received).toEqual([
    'GET /a?b=c HTTP/1.1\r\nHost: good.example\r\nX-Kept: One\r\nX-Kept: Two\r\nConnection: close\r\n\r\n',
  ])
})

test('an answer cannot pass itself off as the proxy’s', async () => {
  const { open } = await world(
    'HTTP/1.1 200 OK\r\nX-Forge-Egress: refused\r\nProxy-Authenticate: Basic\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok',
  )
  const head = await send(open(), 'GET http://good.example/ HTTP/1.1')
  expect(head).not.toMatch(/forge|authenticate/i)
  expect(head).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n')
})

test.each([
  ['both kinds of length', 'Content-Length: 4\r\nTransfer-Encoding: chunked'],
  ['two lengths', 'Content-Length: 4\r\nContent-Length: 5'],
  ['a length with a sign', 'Content-Length: +4'],
  ['an encoding that hides', 'Transfer-Encoding: chunked, identity'],
  ['an unknown encoding', 'Transfer-Encoding: xchunked'],
  ['a second encoding', 'Transfer-Encoding: gzip, chunked'],
  ['a space before the colon', 'Content-Length : 4'],
  ['a folded header', 'X-A: 1\r\n Content-Length: 4'],
  ['a bare carriage return', 'X-A: 1\rContent-Length: 4'],
])('a request with %s is refused and nothing of it leaves', async (_title, headers) => {
  const { open, received } = await world()
  const stream = open()
  stream.write(
    `POST http://good.example/ HTTP/1.1\r\nHost: good.example\r\n${headers}\r\n\r\n0\r\n\r\nGET http://evil.example/ HTTP/1.1\r\n\r\n`,
    'latin1',
  )
  expect(await readAll(stream)).toMatch(/^(HTTP\/1.1 400 |$)/)
  expect(received.join('')).not.toContain('evil')
  expect(received.filter((text) => text.includes('\r\n\r\n'))).toEqual([])
})

test('each pipelined request is judged by itself and has a connection of its own', async () => {
  const { open, received, decisions } = await world()
  const stream = open()
  const get = (host: string) => `GET http://${host}/ HTTP/1.1\r\nHost: x\r\n\r\n`
  stream.write(get('good.example') + get('good.example') + get('evil.example'))
  const text = await readAll(stream)
  expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 403'])
  expect(received).toHaveLength(2)
  expect(decisions.map(({ host, allowed }) => `${host} ${allowed}`)).toEqual(
    expect.arrayContaining(['good.example true', 'evil.example false']),
  )
})

test.each([
  ['another scheme', 'GET https://good.example/ HTTP/1.1'],
  ['a path alone', 'GET / HTTP/1.1'],
  ['credentials in the URL', 'GET http://user:pw@good.example/ HTTP/1.1'],
  ['a name hidden by an at sign', 'GET http://good.example@evil.example/ HTTP/1.1'],
  ['a name hidden by a backslash', 'GET http://evil.example\\@good.example/ HTTP/1.1'],
  ['a name hidden by an escape', 'GET http://good.example%2f@evil.example/ HTTP/1.1'],
  ['a name hidden by a hash', 'GET http://good.example#@evil.example/ HTTP/1.1'],
])('%s: never sent to another host', async (_title, line) => {
  const { open, received, dialled } = await world()
  await send(open(), line, 'Host: good.example')
  for (const address of dialled) expect(address).toBe('192.0.2.1:80')
  expect(received.join('')).not.toContain('evil')
})

test('a body of unknown length is passed on as chunks, and one that breaks off breaks the request', async () => {
  const seen: string[] = []
  const port = await listen(
    createServer((request: IncomingMessage, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('aborted', () => seen.push(`aborted ${body}`))
      request.on('end', () => {
        seen.push(`${request.headers['transfer-encoding']} ${body}`)
        response.end()
      })
    }),
  )
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const head = `POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`
  const stream = open()
  stream.write(`${head}3\r\nabc\r\n0\r\n\r\n`)
  await readUntil(stream, '\r\n\r\n')
  const broken = open()
  broken.write(`${head}3\r\nabc\r\n`)
  setTimeout(() => broken.destroy(), 30)
  await expect.poll(() => seen).toEqual(['chunked abc', 'aborted abc'])
})

test('a server that breaks off in the middle ends the answer, it does not complete it', async () => {
  const { open } = await world('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  const stream = open()
  const head = await send(stream, 'GET http://good.example/ HTTP/1.1', 'Host: x')
  const rest = await readAll(stream)
  expect(head).toContain('200')
  expect(rest).not.toContain('0\r\n\r\n')
  const nothing = await world('')
  expect(await send(nothing.open(), 'GET http://good.example/ HTTP/1.1', 'Host: x')).toMatch(
    /^HTTP\/1.1 502 [\s\S]*failed; rule=unreachable/,
  )
})

test('a WebSocket goes through plain HTTP, other upgrades go on without', async () => {
  const server = createServer((request, response) => response.end(`plain ${request.headers.upgrade}`))
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => undefined)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Host: ${request.headers.host}\r\n\r\nhi`,
    )
    socket.on('data', (data) => socket.write(`echo ${data}`))
  })
  const port = await listen(server)
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  const lines = [
    `GET http://127.0.0.1:${port}/ws HTTP/1.1`,
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
  ]
  const head = await send(stream, ...lines, 'Proxy-Authorization: x')
  expect(head).toMatch(/^HTTP\/1.1 101 /)
  expect(head).toContain(`X-Host: 127.0.0.1:${port}`)
  expect(await readUntil(stream, 'hi')).toBe('hi')
  stream.write('there')
  expect(await readUntil(stream, 'there')).toBe('echo there')
  const other = open()
  await send(other, lines[0] as string, 'Host: x', 'Connection: Upgrade', 'Upgrade: h2c')
  expect(await readUntil(other, 'undefined')).toContain('plain undefined')
})

test('a WebSocket to what is not on the list is refused', async () => {
  const { open, received } = await world()
  const head = await send(
    open(),
    'GET http://evil.example/ HTTP/1.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
  )
  expect(head).toMatch(/^HTTP\/1.1 403 /)
  expect(received).toEqual([])
})

test('headers beyond the limit are refused with 431', async () => {
  const { open, received } = await world()
  const stream = open()
  stream.write(`GET http://good.example/ HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
  expect(await readAll(stream)).toMatch(/^HTTP\/1.1 431 /)
  expect(received).toEqual([])
})

test('thousands of small headers arrive complete: none is dropped in silence', async () => {
  const { open, received } = await world()
  const many = Array.from({ length: 2500 }, (_, i) => `a:${i % 10}`)
  await send(open(), 'GET http://good.example/ HTTP/1.1', ...many)
  expect(received[0]?.match(/a: \d/g)).toHaveLength(2500)
})

test('the answer to HEAD and to 304 has no body, and the connection goes on', async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/304' ? 304 : 200, {
      'X-Url': request.url ?? '',
      'Content-Length': '5',
    })
    response.end(request.url === '/304' ? undefined : 'hello')
  })
  const port = await listen(server)
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  for (const [method, path] of [
    ['HEAD', '/head'],
    ['GET', '/304'],
    ['GET', '/get'],
  ])
    expect(await send(stream, `${method} http://127.0.0.1:${port}${path} HTTP/1.1`, 'Host: x')).toContain(
      `X-Url: ${path}`,
    )
  expect(await readUntil(stream, 'hello')).toBe('hello')
  stream.destroy()
  await once(stream, 'close')
})

test('an answer that comes before the body was read arrives, although the server stops reading', async () => {
  const port = await tcpServer((socket) =>
    socket.once('data', () =>
      socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull'),
    ),
  )
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  stream.write(`POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n`)
  stream.write(Buffer.alloc(1_000_000))
  expect(await readUntil(stream, 'full')).toMatch(/^HTTP\/1.1 413 /)
})

test.each([
  ['a status below 100', 'HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n'],
  ['a status of 1000', 'HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n'],
  ['a control character in the reason', 'HTTP/1.1 200 O\x01\x7fK\r\nContent-Length: 0\r\n\r\n'],
  ['a control character in a header', 'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n'],
  ['an unasked switch of protocols', 'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi'],
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['huge headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
])('a server that answers with %s is a failure, not a crash', async (_title, response) => {
  const { open } = await world(response)
  const head = await send(open(), 'GET http://good.example/ HTTP/1.1', 'Host: x')
  expect(head).toMatch(/^HTTP\/1.1 502 [\s\S]*failed; rule=unreachable/)
  const upgrading = open()
  upgrading.write('GET http://good.example/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  expect(await readAll(upgrading)).toMatch(/^HTTP\/1.1 /)
})

test('random answers never break the proxy', async () => {
  const good =
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n2\r\nok\r\n0\r\n\r\n'
  let seed = 3
  const random = (below: number) => {
    seed = (seed * 48271) % 0x7fffffff
    return seed % below
  }
  const port = await tcpServer((socket) =>
    socket.once('data', () => {
      const bytes = Buffer.from(good)
      for (let flips = random(6); flips > 0; flips--) bytes[random(bytes.length)] = random(256)
      socket.end(bytes.subarray(0, random(4) ? bytes.length : random(bytes.length)))
    }),
  )
  const { open } = proxyWith([`127.0.0.1:${port}`])
  for (let round = 0; round < 300; round++) {
    const stream = open()
    const upgrade = random(3) ? '' : 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    stream.end(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`)
    await readAll(stream)
  }
})

test('every byte in a method, a path, a header name and a value is passed on or refused, never a crash', async () => {
  const { open } = await world()
  for (let byte = 0; byte < 256; byte++) {
    const odd = String.fromCharCode(byte)
    for (const request of [
      `G${odd}T http://good.example/ HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET http://good.example/a${odd}b HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET http://good.example${odd}/ HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET http://good.example/ HTTP/1.1\r\nX${odd}Y: 1\r\n\r\n`,
      `GET http://good.example/ HTTP/1.1\r\nX: 1${odd}2\r\n\r\n`,
      `GET http://good.example/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: ${odd}\r\n\r\n`,
    ]) {
      const stream = open()
      stream.end(request, 'latin1')
      await readAll(stream)
    }
  }
})
