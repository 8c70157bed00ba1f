import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { Client, Server, utils } from 'ssh2'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { decisionLog } from './decisions.ts'
import type { EgressDecision } from './policy.ts'
import { connectVia, dialTo, proxyWith, readAll, readUntil, tcpServer } from './testkit.ts'

afterEach(() => void vi.useRealTimers())

const refusedFor = (host: string): EgressDecision => ({
  host,
  port: 443,
  via: 'connect',
  allowed: false,
  rule: 'not_allowed',
})

test('100,000 equal refusals are a few decisions that add up', () => {
  vi.useFakeTimers()
  const reported: EgressDecision[] = []
  const log = decisionLog(
    (decision) => reported.push(decision),
    () => performance.now(),
  )
  for (let i = 0; i < 100_000; i++) {
    expect(log.record(refusedFor('evil.example'))).toBe(true)
    if (i % 1000 === 0) vi.advanceTimersByTime(100)
  }
  log.close()
  expect(reported.length).toBeLessThan(10)
  expect(reported.reduce((sum, { count }) => sum + (count ?? 1), 0)).toBe(100_000)
  expect(vi.getTimerCount()).toBe(0)
})

test('a repeat is reported with its count a second later, and forgotten when none follows', () => {
  vi.useFakeTimers()
  const reported: EgressDecision[] = []
  const log = decisionLog(
    (decision) => reported.push(decision),
    () => performance.now(),
  )
  for (let i = 0; i < 3; i++) log.record(refusedFor('evil.example'))
  expect(reported).toEqual([refusedFor('evil.example')])
  vi.advanceTimersByTime(1000)
  expect(reported[1]).toEqual({ ...refusedFor('evil.example'), count: 2 })
  vi.advanceTimersByTime(2000)
  log.record(refusedFor('evil.example'))
  expect(reported[2]).toEqual(refusedFor('evil.example'))
})

test('more different decisions than can be reported are refused, not passed in silence', () => {
  vi.useFakeTimers()
  const reported: EgressDecision[] = []
  const log = decisionLog(
    (decision) => reported.push(decision),
    () => performance.now(),
  )
  const results = Array.from({ length: 100_000 }, (_, i) =>
    log.record({ ...refusedFor(`h${i}.example`), allowed: true }),
  )
  expect(results.filter(Boolean)).toHaveLength(200)
  expect(reported).toHaveLength(201)
  expect(reported[200]).toMatchObject({ allowed: false, rule: 'decision_rate' })
  vi.advanceTimersByTime(2000)
  expect(log.record(refusedFor('later.example'))).toBe(true)
  log.close()
})

test('a request whose decision cannot be recorded does not pass', async () => {
  const received: string[] = []
  const { dial } = dialTo(
    await tcpServer((socket) => socket.on('data', (data) => received.push(String(data)))),
  )
  const { open, decisions } = proxyWith(['*.example:80'], {
    resolve: async () => ['192.0.2.1'],
    dial,
    now: () => 0,
  })
  for (let i = 0; i < 200; i++) {
    const stream = open()
    await connectVia(stream, `n${i}.example:80`)
    stream.destroy()
  }
  const stream = open()
  expect(await connectVia(stream, 'more.example:80', 'GET / HTTP/1.0\r\n\r\n')).toMatch(
    /^HTTP\/1.1 429 [\s\S]*rule=decision_rate/,
  )
  expect(received).toEqual([])
  expect(decisions).toHaveLength(201)
})

test('connections beyond the limit are answered 503 until others end', async () => {
  const port = await tcpServer((socket) => socket.on('end', () => socket.end()).resume())
  const { open } = proxyWith([`127.0.0.1:${port}`], { limits: { connections: 3 } })
  const streams = [open(), open(), open()]
  for (const stream of streams) expect(await connectVia(stream, `127.0.0.1:${port}`)).toMatch(/ 200 /)
  expect(await readAll(open())).toMatch(/^HTTP\/1.1 503 [\s\S]*rule=connection_limit/)
  streams[0]?.resume().end()
  await expect.poll(async () => connectVia(open(), `127.0.0.1:${port}`).catch(() => '')).toMatch(/ 200 /)
})

test('pipelined requests count too: one connection cannot open any number of others', async () => {
  let opened = 0
  const port = await tcpServer(() => {
    opened++
  })
  const { open } = proxyWith([`127.0.0.1:${port}`], { limits: { connections: 5 } })
  const stream = open()
  stream.write(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(50))
  await expect.poll(() => opened).toBe(5)
  await new Promise((done) => setTimeout(done, 30))
  expect(opened).toBe(5)
})

test('CONNECT behind an unanswered request is not served', async () => {
  const port = await tcpServer(() => undefined)
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  const at = `127.0.0.1:${port}`
  stream.write(`GET http://${at}/ HTTP/1.1\r\nHost: x\r\n\r\nCONNECT ${at} HTTP/1.1\r\nHost: ${at}\r\n\r\n`)
  expect(await readAll(stream)).toBe('')
})

test('a connection that brings no request, half a request or no next request is closed', async () => {
  const port = await tcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  const { open } = proxyWith([`127.0.0.1:${port}`], { limits: { headersTimeout: 50 } })
  const silent = open()
  const half = open()
  half.write('CONNECT 127')
  const kept = open()
  kept.write(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
  const texts = await Promise.all([silent, half, kept].map(readAll))
  expect(texts.map((text) => text.slice(0, 12))).toEqual(['', '', 'HTTP/1.1 200'])
})

test('a tunnel and a request without traffic are closed, one with traffic is not', async () => {
  const port = await tcpServer((socket) => socket.on('data', (data) => socket.write(data)))
  const { open } = proxyWith([`127.0.0.1:${port}`], { limits: { idleTimeout: 200 } })
  const [idle, busy, asking] = [open(), open(), open()]
  for (const stream of [idle, busy]) await connectVia(stream, `127.0.0.1:${port}`)
  asking.write(`POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n`)
  const ticking = setInterval(() => busy.write('x'), 20)
  onTestFinished(() => clearInterval(ticking))
  busy.resume()
  expect(await readAll(idle)).toBe('')
  expect(await readAll(asking)).toMatch(/^(HTTP\/1.1 502|$)/)
  expect(busy.destroyed).toBe(false)
})

test('close ends every connection and reports what was held back', async () => {
  const port = await tcpServer(() => undefined)
  const { open, proxy, decisions } = proxyWith([`127.0.0.1:${port}`])
  const streams = [open(), open(), open()]
  for (const stream of streams) await connectVia(stream, `127.0.0.1:${port}`)
  proxy.close()
  expect(await Promise.all(streams.map(readAll))).toEqual(['', '', ''])
  expect(decisions.map(({ count }) => count)).toEqual([undefined, 2])
})

test('random bytes and cuts never break the proxy', async () => {
  const port = await tcpServer((socket) => socket.on('data', () => socket.destroy()))
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const good = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\nGET http://127.0.0.1:${port}/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n`
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48271) % 0x7fffffff
    return seed % below
  }
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(good)
    for (let flips = random(5); flips > 0; flips--) bytes[random(bytes.length)] = random(256)
    const stream = open()
    stream.resume()
    stream.write(bytes.subarray(random(3) ? 0 : good.indexOf('GET'), random(bytes.length)))
    await new Promise(setImmediate)
    if (random(2)) stream.destroy()
    else stream.end()
  }
  expect(await connectVia(open(), `127.0.0.1:${port}`)).toMatch(/ 200 /)
})

test('it works on the channels of a real SSH connection', async () => {
  const guest = new Server({ hostKeys: [utils.generateKeyPairSync('ed25519').private] })
  const channels: Duplex[] = []
  guest.on('connection', (client) => {
    client.on('error', () => undefined)
    client.on('authentication', (context) => context.accept())
    client.on('request', (accept, _reject, name) => {
      if (name !== 'tcpip-forward') return
      accept?.()
      for (let i = 0; i < 3; i++)
        client.forwardOut('127.0.0.1', 3128, '127.0.0.1', 4000 + i, (error, channel) => {
          if (!error) channels.push(channel)
        })
    })
  })
  guest.listen(0, '127.0.0.1')
  await once(guest, 'listening')
  const { port: sshPort } = guest.address() as { port: number }
  onTestFinished(() => void guest.close())

  const port = await tcpServer((socket) =>
    socket.on('data', (data) => socket.write(`echo ${data}`)).on('end', () => socket.end()),
  )
  const { proxy } = proxyWith([`127.0.0.1:${port}`])
  const client = new Client()
  client.on('tcp connection', (_info, accept) => proxy.handle(accept()))
  client.connect({ host: '127.0.0.1', port: sshPort, username: 'x', password: 'x' })
  await once(client, 'ready')
  onTestFinished(() => void client.end())
  client.forwardIn('127.0.0.1', 3128, () => undefined)
  await expect.poll(() => channels.length).toBe(3)

  const [tunnelled, refusing, gone] = channels as [Duplex, Duplex, Duplex]
  expect(await connectVia(tunnelled, `127.0.0.1:${port}`)).toMatch(/ 200 /)
  tunnelled.write('hello')
  expect(await readUntil(tunnelled, 'hello')).toBe('echo hello')
  tunnelled.end()
  await once(tunnelled.resume(), 'close')
  refusing.write('CONNECT evil.example:443 HTTP/1.1\r\n\r\n')
  expect(await readAll(refusing)).toMatch(/^HTTP\/1.1 403 /)
  await connectVia(gone, `127.0.0.1:${port}`)
  proxy.close()
  await once(gone.resume(), 'close')
})
