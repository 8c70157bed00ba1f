import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { ClientHelloReader, type HelloState } from './client-hello.ts'

/** The ClientHello that Node's own TLS client sends. */
async function realHello(servername?: string): Promise<Buffer> {
  const [near, far] = duplexPair()
  const socket = connect({ socket: near, ...(servername ? { servername } : {}) })
  socket.on('error', () => undefined)
  const [chunk] = (await once(far, 'data')) as [Buffer]
  socket.destroy()
  return chunk
}

/** The same handshake message, cut into records of `size` bytes. */
function recut(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(records)
}

function read(bytes: Buffer, size = bytes.length): HelloState {
  const reader = new ClientHelloReader()
  let state: HelloState = { kind: 'incomplete' }
  for (let at = 0; at < bytes.length; at += size) state = reader.push(bytes.subarray(at, at + size))
  return state
}

/** mulberry32: the same numbers in each run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A ClientHello around the given extensions block. */
function helloWith(extensions: Buffer): Buffer {
  const vector = (bytes: Buffer) =>
    Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0]),
    vector(Buffer.from([0x13, 1])),
    Buffer.from([1, 0]),
    vector(extensions),
  ])
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body])
  return Buffer.concat([Buffer.from([22, 3, 1, message.length >> 8, message.length & 255]), message])
}

function sni(...names: string[]): Buffer {
  const list = Buffer.concat(
    names.map((name) =>
      Buffer.concat([Buffer.from([0, name.length >> 8, name.length & 255]), Buffer.from(name)]),
    ),
  )
  const data = Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list])
  return Buffer.concat([Buffer.from([0, 0, data.length >> 8, data.length & 255]), data])
}

test('the server name of a real ClientHello, however it is cut into chunks and records', async () => {
  const hello = await realHello('Registry.Example.com')
  const expected = { kind: 'hello', serverName: 'registry.example.com' }
  for (const size of [1, 2, 3, 7, 100, hello.length]) expect(read(hello, size)).toEqual(expected)
  for (const record of [1, 3, 5, 64, 200])
    for (const size of [1, 5, 6, 999]) expect(read(recut(hello, record), size)).toEqual(expected)
})

test('a ClientHello without a server name', async () => {
  expect(read(await realHello())).toEqual({ kind: 'hello', serverName: null })
})

test('a part of it is incomplete, at every length', async () => {
  const hello = await realHello('a.example')
  for (let length = 1; length < hello.length; length++)
    expect(read(hello.subarray(0, length))).toEqual({ kind: 'incomplete' })
})

test('what is no TLS is known by its first bytes', () => {
  for (const text of [
    'SSH-2.0-OpenSSH_9\r\n',
    'GET / HTTP/1.1\r\n',
    '\x80\x2e\x01\x03\x01',
    '\x16\x02',
    '\x15\x03\x01',
  ])
    expect(read(Buffer.from(text, 'latin1'))).toEqual({ kind: 'not_tls' })
})

test.each([
  ['two names in one list', sni('a.example', 'b.example')],
  ['two lists', Buffer.concat([sni('a.example'), sni('b.example')])],
  ['the same list twice', Buffer.concat([sni('a.example'), sni('a.example')])],
  ['a name with a zero byte', sni('a.example\0.b.example')],
  ['an empty name', sni('')],
  ['a number as a name', sni('2130706433')],
  ['an extension that runs past the end', Buffer.from([0, 0, 0, 9, 0])],
  ['a name that runs past its list', Buffer.from([0, 0, 0, 5, 0, 3, 0, 0, 9])],
])('%s is malformed', (_name, extensions) => {
  expect(read(helloWith(extensions))).toMatchObject({ kind: 'malformed' })
})

test('the built message is sound otherwise', () => {
  expect(read(helloWith(sni('a.example')))).toEqual({ kind: 'hello', serverName: 'a.example' })
})

test('another record in between, a bad length and a huge message are malformed', async () => {
  const hello = recut(await realHello('a.example'), 40)
  const alert = Buffer.from([21, 3, 1, 0, 2, 1, 0])
  expect(read(Buffer.concat([hello.subarray(0, 45), alert, hello.subarray(45)]))).toMatchObject({
    kind: 'malformed',
  })
  expect(read(Buffer.from([22, 3, 1, 0, 0]))).toMatchObject({ kind: 'malformed' })
  expect(read(Buffer.from([22, 3, 1, 0xff, 0xff]))).toMatchObject({ kind: 'malformed' })
  expect(read(Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0]))).toMatchObject({ kind: 'malformed' })
  expect(read(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 9]))).toMatchObject({ kind: 'malformed' })
})

test('random cuts and mutations never throw, and never depend on the cuts', async () => {
  const random = randomFrom(7)
  const hello = await realHello('registry.example.com')
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(random(2) ? hello : recut(hello, 1 + random(300)))
    for (let flips = random(4); flips > 0; flips--) bytes[random(random(2) ? 80 : bytes.length)] = random(256)
    const cut = bytes.subarray(0, random(10) ? bytes.length : random(bytes.length))
    const whole = read(cut)
    expect(['incomplete', 'not_tls', 'hello', 'malformed']).toContain(whole.kind)
    const reader = new ClientHelloReader()
    let state: HelloState = { kind: 'incomplete' }
    for (let at = 0; at < cut.length; ) {
      const size = 1 + random(50)
      state = reader.push(cut.subarray(at, at + size))
      at += size
    }
    expect(state).toEqual(whole)
  }
})
