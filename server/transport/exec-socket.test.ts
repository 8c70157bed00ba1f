import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { ForgeError } from '#core/errors.ts'
import { channel, type ExecControl, ExecEnd } from '#core/sandbox/exec-frames.ts'
import { countRunning, nap, skipBecause } from '../sandbox/conformance/rig.ts'
import { connectWire } from '../sandbox/wire/connect.ts'
import { type RealSshd, realSshd } from '../sandbox/wire/real-sshd.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { serveExec } from './exec-socket.ts'

let sshd: RealSshd
let wire: Wire
let http: Server
let openWire: () => Promise<Wire>
let startDeadline = 10_000
beforeAll(async () => {
  sshd = await realSshd()
  wire = await connectWire(sshd.open().stream, sshd)
  http = createServer()
  const sockets = new WebSocketServer({ server: http, maxPayload: 16 * 1024 * 1024 })
  sockets.on('connection', (socket) => serveExec(socket, () => openWire(), { startDeadline, ping: 100 }))
  await once(http.listen(0, '127.0.0.1'), 'listening')
}, 120_000)
afterAll(async () => {
  wire?.close()
  http?.closeAllConnections()
  http?.close()
  await sshd?.[Symbol.asyncDispose]()
})

const frame = (to: number, data: Buffer | string) => Buffer.concat([Buffer.of(to), Buffer.from(data)])
const control = (message: unknown) => frame(channel.control, JSON.stringify(message))

async function client(options: { pause?: boolean } = {}) {
  openWire = async () => wire
  const socket = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const seen: { channel: number; data: Buffer }[] = []
  socket.on('message', (data: Buffer) => seen.push({ channel: data[0] ?? -1, data: data.subarray(1) }))
  await once(socket, 'open')
  if (options.pause === true) socket.pause()
  const closed = once(socket, 'close')
  const bytes = (of: number) => Buffer.concat(seen.filter((one) => one.channel === of).map((one) => one.data))
  return {
    socket,
    bytes,
    send: (message: Buffer | string) => socket.send(message),
    start: (message: Omit<Extract<ExecControl, { kind: 'start' }>, 'kind'>) =>
      socket.send(control({ kind: 'start', ...message })),
    /** The one control message, which must be the last of all. */
    async end(): Promise<ExecEnd> {
      await closed
      expect(seen.filter((one) => one.channel === channel.control).length).toBe(1)
      return ExecEnd.parse(JSON.parse((seen.at(-1)?.data ?? Buffer.alloc(0)).toString()))
    },
  }
}

const running = (seconds: number) => countRunning({ wire: () => wire }, nap(seconds))

describe('a command', () => {
  test('gets its input, gives its outputs and its end', async () => {
    const one = await client()
    one.start({ command: 'cat; echo "$A" >&2; pwd >&2; exit 7', cwd: '/usr', env: { A: 'b' } })
    one.send(frame(channel.stdin, 'in'))
    one.send(frame(channel.stdin, 'put'))
    one.send(frame(channel.stdin, ''))
    expect(await one.end()).toEqual({ kind: 'exit', code: 7, signal: null, timedOut: false })
    expect(one.bytes(channel.stdout).toString()).toBe('input')
    expect(one.bytes(channel.stderr).toString()).toBe('b\n/usr\n')
  })

  test('has a time limit and takes signals', async () => {
    const late = await client()
    late.start({ command: nap(7601), timeout: 100 })
    expect(await late.end()).toEqual({ kind: 'exit', code: null, signal: 'TERM', timedOut: true })
    const told = await client()
    told.start({ command: `trap 'exit 5' INT; echo ready; ${nap(7602)} & wait` })
    told.send(control({ kind: 'signal', signal: 'INT' }))
    expect(await told.end()).toMatchObject({ kind: 'exit' })
  })

  test('ends when its client goes away, also one that was sending', async () => {
    const one = await client()
    one.start({ command: nap(7603) })
    await expect.poll(() => running(7603)).toBe(1)
    one.socket.terminate()
    await expect.poll(() => running(7603)).toBe(0)
    const sender = await client()
    sender.start({ command: nap(7604) })
    for (let i = 0; i < 20; i++) sender.send(frame(channel.stdin, Buffer.alloc(1_000_000)))
    await expect.poll(() => running(7604)).toBe(1)
    sender.socket.terminate()
    await expect.poll(() => running(7604)).toBe(0)
  })
})

describe('neither side fills the memory', () => {
  test('a client that does not read holds the command up, and gets all in the end', async () => {
    const one = await client({ pause: true })
    one.start({ command: 'head -c 200000000 /dev/zero; echo last >&2' })
    const before = process.memoryUsage().rss
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6)
    let bytes = 0
    one.socket.removeAllListeners('message')
    let end: ExecEnd | null = null
    one.socket.on('message', (data: Buffer) => {
      if (data[0] === channel.stdout) bytes += data.length - 1
      if (data[0] === channel.control) end = ExecEnd.parse(JSON.parse(data.subarray(1).toString()))
    })
    one.socket.resume()
    await once(one.socket, 'close')
    expect([bytes, end]).toEqual([200_000_000, { kind: 'exit', code: 0, signal: null, timedOut: false }])
  })

  test('a command that does not read holds the client up, and gets all in the end', async () => {
    const one = await client()
    const go = `${sshd.home}/go`
    one.start({ command: `while [ ! -e ${go} ]; do sleep 0.05; done; wc -c` })
    for (let i = 0; i < 60; i++) one.send(frame(channel.stdin, Buffer.alloc(1_000_000)))
    one.send(frame(channel.stdin, ''))
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(one.socket.bufferedAmount).toBeGreaterThan(30_000_000)
    await wire.files.write(go, '')
    expect(await one.end()).toMatchObject({ kind: 'exit', code: 0 })
    expect(one.bytes(channel.stdout).toString()).toBe('60000000\n')
  })
})

describe('a terminal', () => {
  test('has a size that changes, and hangs up', async ({ skip }) => {
    if (sshd.noTerminals !== null) skipBecause(sshd.noTerminals, skip)
    const one = await client()
    one.start({ terminal: { columns: 91, rows: 17, term: 'vt220' } })
    one.send(frame(channel.stdin, 'stty size; echo $TERM\n'))
    await expect.poll(() => one.bytes(channel.stdout).toString()).toMatch(/17 91\r\n[\s\S]*vt220\r\n/)
    one.send(control({ kind: 'resize', columns: 60, rows: 9 }))
    one.send(frame(channel.stdin, 'stty size\n'))
    await expect.poll(() => one.bytes(channel.stdout).toString()).toMatch(/9 60\r\n/)
    one.send(control({ kind: 'signal', signal: 'HUP' }))
    expect(await one.end()).toEqual({ kind: 'exit', code: null, signal: 'HUP', timedOut: false })
  })

  test('loses no output of a program that exits at once, however slow the client', async ({ skip }) => {
    if (sshd.noTerminals !== null) skipBecause(sshd.noTerminals, skip)
    const one = await client({ pause: true })
    one.start({
      command: 'stty -opost; head -c 5000000 /dev/zero; exit 3',
      terminal: { columns: 80, rows: 24 },
    })
    setTimeout(() => one.socket.resume(), 500)
    expect(await one.end()).toMatchObject({ code: 3 })
    expect(one.bytes(channel.stdout).length).toBe(5_000_000)
  })
})

describe('what is not a valid conversation ends with an error', () => {
  const bad: [string, (Buffer | string)[], string][] = [
    ['text', ['hello'], 'invalid_input'],
    ['an empty message', [Buffer.alloc(0)], 'invalid_input'],
    ['input before the start', [frame(channel.stdin, 'x')], 'invalid_input'],
    ['another control before the start', [control({ kind: 'signal', signal: 'TERM' })], 'invalid_input'],
    ['no JSON', [frame(channel.control, '{')], 'invalid_input'],
    ['no schema', [control({ kind: 'start', command: 5 })], 'invalid_input'],
    ['no command', [control({ kind: 'start' })], 'invalid_input'],
    ['a start beyond all bounds', [frame(channel.control, Buffer.alloc(9_000_000, 'x'))], 'too_large'],
    [
      'two starts',
      [control({ kind: 'start', command: nap(7605) }), control({ kind: 'start', command: 'x' })],
      'invalid_input',
    ],
    [
      'a server’s channel',
      [control({ kind: 'start', command: nap(7605) }), frame(channel.stdout, 'x')],
      'invalid_input',
    ],
    ['an unknown channel', [control({ kind: 'start', command: nap(7605) }), frame(9, 'x')], 'invalid_input'],
    [
      'a size without a terminal',
      [control({ kind: 'start', command: nap(7605) }), control({ kind: 'resize', columns: 1, rows: 1 })],
      'invalid_input',
    ],
    [
      'a hostile environment',
      [control({ kind: 'start', command: 'true', env: { 'A=B': 'x' } })],
      'invalid_input',
    ],
  ]
  test.each(bad)('%s', async (_name, messages, code) => {
    const one = await client()
    for (const message of messages) one.send(message)
    expect(await one.end()).toMatchObject({ kind: 'error', error: { code } })
    await expect.poll(() => running(7605)).toBe(0)
  })

  test('silence', async () => {
    startDeadline = 100
    const one = await client().finally(() => {
      startDeadline = 10_000
    })
    expect(await one.end()).toMatchObject({ kind: 'error', error: { code: 'timed_out' } })
  })

  test('no sandbox, and one that is lost', async () => {
    const one = await client()
    openWire = () => Promise.reject(new ForgeError('not_found', 'there is no sandbox sbx_x'))
    one.start({ command: 'true' })
    expect(await one.end()).toMatchObject({ kind: 'error', error: { code: 'not_found' } })
    const own = await connectWire(sshd.open().stream, sshd)
    const two = await client()
    openWire = async () => own
    two.start({ command: 'echo here; sleep 100' })
    await expect.poll(() => two.bytes(channel.stdout).toString()).toBe('here\n')
    own.close()
    expect(await two.end()).toMatchObject({ kind: 'error', error: { code: 'sandbox_lost' } })
  })
})
