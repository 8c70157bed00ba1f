import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, createServer } from 'node:tls'
import { expect, test } from 'vitest'
import type { EgressOptions } from './proxy.ts'
import { connectVia, dialTo, listen, proxyWith, readAll, readUntil, tcpServer } from './testkit.ts'

const key = Buffer.alloc(32, 7)
/** A pre-shared key makes a real handshake without certificates. */
const tlsOptions = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const

const tlsServer = (): Promise<number> =>
  listen(
    createServer({ ...tlsOptions, pskCallback: () => key }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (data) => socket.write(`echo ${data}`))
    }),
  )

/** Names resolve to a documentation address, which leads to `port` on the loopback. */
async function world(allow: string[], port: number, options: Partial<EgressOptions> = {}) {
  const { dial, dialled } = dialTo(port)
  const resolve = async () => ['192.0.2.1']
  return { ...proxyWith(allow, { resolve, dial, ...options }), dialled }
}

/** Passes everything on in pieces of `size` bytes. */
const inPieces = (stream: Duplex, size: number): Duplex =>
  new Duplex({
    construct(done) {
      stream.on('data', (chunk) => this.push(chunk))
      stream.on('end', () => this.push(null))
      stream.on('close', () => this.destroy())
      done()
    },
    read() {},
    async write(chunk: Buffer, _encoding, done) {
      for (let at = 0; at < chunk.length; at += size) {
        stream.write(chunk.subarray(at, at + size))
        await new Promise(setImmediate)
      }
      done()
    },
    final(done) {
      stream.end(done)
    },
  })

function handshake(stream: Duplex, servername?: string) {
  const socket = connectTls({
    ...tlsOptions,
    socket: stream as Socket,
    pskCallback: () => ({ psk: key, identity: 'test' }),
    checkServerIdentity: () => undefined,
    ...(servername ? { servername } : {}),
  })
  const done = new Promise<string>((resolve) => {
    socket.once('secureConnect', () => resolve('secure'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('closed'))
  })
  return { socket, done }
}

test('a TLS client that names the target is joined to the server', async () => {
  const { open, decisions } = await world(['good.example:443'], await tlsServer())
  for (const [name, size] of [
    ['good.example', 9999],
    ['GOOD.example', 9999],
    ['good.example', 1],
    ['good.example', 13],
  ] as const) {
    const stream = open()
    expect(await connectVia(stream, 'good.example:443')).toMatch(/^HTTP\/1.1 200/)
    const { socket, done } = handshake(inPieces(stream, size), name)
    expect(await done).toBe('secure')
    socket.write('hello')
    expect((await once(socket, 'data')).toString()).toBe('echo hello')
    socket.destroy()
  }
  expect(decisions).toEqual([
    {
      host: 'good.example',
      port: 443,
      via: 'connect',
      allowed: true,
      rule: 'good.example:443',
      address: '192.0.2.1',
    },
  ])
})

test.each([
  ['another name', 'evil.example'],
  ['a name with the target as its beginning', 'good.example.evil.example'],
  ['no name', undefined],
])(
  '%s in the ClientHello ends the connection, and no byte of it reaches the server',
  async (_title, name) => {
    const received: Buffer[] = []
    const port = await tcpServer((socket) => socket.on('data', (data) => received.push(data)))
    for (const target of ['good.example:443', 'good.example:8443']) {
      const { open, decisions } = await world(['good.example:*'], port)
      const stream = open()
      await connectVia(stream, target)
      const { done } = handshake(inPieces(stream, 50), name)
      expect(await done).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
      expect(decisions.at(-1)).toMatchObject({ host: 'good.example', allowed: false, rule: 'sni_mismatch' })
    }
    expect(received).toEqual([])
  },
)

test('an address may go without a name, but not with another one', async () => {
  const port = await tlsServer()
  const { open, decisions } = await world(['192.0.2.0/24:443'], port)
  const plain = open()
  await connectVia(plain, '192.0.2.7:443')
  expect(await handshake(plain).done).toBe('secure')
  plain.destroy()
  const named = open()
  await connectVia(named, '192.0.2.7:443')
  expect(await handshake(named, 'evil.example').done).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
  expect(decisions.at(-1)).toMatchObject({ rule: 'sni_mismatch' })
})

test('on port 443 nothing but TLS passes, on others SSH does', async () => {
  const received: string[] = []
  const port = await tcpServer((socket) => socket.on('data', (data) => received.push(String(data))))
  const { open, decisions } = await world(['git.example:*'], port)
  const plain = open()
  await connectVia(plain, 'git.example:443', 'GET / HTTP/1.1\r\n\r\n')
  await readAll(plain)
  expect(received).toEqual([])
  expect(decisions.at(-1)).toMatchObject({ port: 443, allowed: false, rule: 'tls_required' })
  const ssh = open()
  await connectVia(ssh, 'git.example:22')
  ssh.write('SSH-2.0-test\r\n')
  await expect.poll(() => received).toEqual(['SSH-2.0-test\r\n'])
})

test('a server that speaks first is heard before the client has said anything', async () => {
  const port = await tcpServer((socket) => {
    socket.write('220 ready\r\n')
    socket.on('data', (data) => socket.write(`250 ${data}`))
  })
  const { open } = await world(['mail.example:25'], port)
  const stream = open()
  await connectVia(stream, 'mail.example:25')
  expect(await readUntil(stream, '\r\n')).toBe('220 ready\r\n')
  stream.write('EHLO x\r\n')
  expect(await readUntil(stream, '\r\n')).toBe('250 EHLO x\r\n')
})

test('a client that owes its ClientHello has a limited time, on any port once it has begun', async () => {
  const port = await tcpServer(() => undefined)
  const { open, decisions } = await world(['slow.example:*'], port, { limits: { helloTimeout: 50 } })
  for (const [target, bytes] of [
    ['slow.example:443', ''],
    ['slow.example:443', '\x16\x03'],
    ['slow.example:8443', '\x16'],
  ] as const) {
    const stream = open()
    await connectVia(stream, target, bytes)
    await readAll(stream)
  }
  expect(decisions.filter(({ rule }) => rule === 'tls_required').map(({ port }) => port)).toEqual([443, 8443])
})
