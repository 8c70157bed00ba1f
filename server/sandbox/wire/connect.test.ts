import { Duplex, PassThrough } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connectWire } from './connect.ts'
import { makeKeyPair } from './keys.ts'
import { type RealSshd, realSshd } from './real-sshd.ts'

let server: RealSshd
const escaped: unknown[] = []
const note = (error: unknown) => escaped.push(error)
beforeAll(async () => {
  server = await realSshd()
  process.on('uncaughtException', note).on('unhandledRejection', note)
}, 120_000)
afterAll(async () => {
  process.off('uncaughtException', note).off('unhandledRejection', note)
  await server?.[Symbol.asyncDispose]()
})
afterEach(() => {
  expect(escaped).toEqual([])
})

describe('a connection is refused', () => {
  test('to a peer with another host key', async () => {
    const { stream } = server.open()
    const other = { ...server, hostPublicKey: makeKeyPair().publicKey }
    await expect(connectWire(stream, other)).rejects.toMatchObject({
      code: 'sandbox_lost',
      message: expect.stringContaining('host key'),
    })
    expect(stream.destroyed).toBe(true)
  })

  test('by a guest that does not know the client key', async () => {
    const stranger = { ...server, clientPrivateKey: makeKeyPair().privateKey }
    await expect(connectWire(server.open().stream, stranger)).rejects.toMatchObject({ code: 'sandbox_lost' })
  })

  test('for another user', async () => {
    await expect(connectWire(server.open().stream, { ...server, user: 'nobody' })).rejects.toMatchObject({
      code: 'sandbox_lost',
    })
  })

  test('when the peer is silent, at its deadline', async () => {
    const silent = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
    await expect(connectWire(silent, { ...server, handshakeTimeout: 100 })).rejects.toMatchObject({
      code: 'timed_out',
    })
    expect(silent.destroyed).toBe(true)
  })

  test('when the peer talks nonsense, or goes away', async () => {
    for (const said of ['HTTP/1.1 400 Bad Request\r\n\r\n', `SSH-2.0-x\r\n${'\xff'.repeat(5000)}`, '']) {
      const stream = Duplex.from({
        readable: PassThrough.from([Buffer.from(said, 'latin1')]),
        writable: new PassThrough(),
      })
      await expect(connectWire(stream, { ...server, handshakeTimeout: 5000 })).rejects.toMatchObject({
        code: 'sandbox_lost',
      })
    }
    const { stream, kill } = server.open()
    kill()
    await expect(connectWire(stream, server)).rejects.toMatchObject({ code: 'sandbox_lost' })
    const broken = server.open()
    const connecting = connectWire(broken.stream, server)
    broken.stream.destroy(new Error('the link broke'))
    await expect(connecting).rejects.toMatchObject({ code: 'sandbox_lost' })
  })

  test('on abort', async () => {
    const controller = new AbortController()
    const connecting = connectWire(server.open().stream, { ...server, signal: controller.signal })
    controller.abort()
    await expect(connecting).rejects.toMatchObject({ code: 'interrupted' })
    const { stream } = server.open()
    await expect(connectWire(stream, { ...server, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    })
    expect(stream.destroyed).toBe(true)
  })

  test('with keys that are none', async () => {
    await expect(
      connectWire(server.open().stream, { ...server, clientPrivateKey: 'none' }),
    ).rejects.toMatchObject({
      code: 'invalid_input',
    })
    await expect(
      connectWire(server.open().stream, { ...server, hostPublicKey: 'none' }),
    ).rejects.toMatchObject({
      code: 'invalid_input',
    })
  })
})

describe('when the connection ends', () => {
  const lost = { code: 'sandbox_lost' }

  test.each(['close', 'kill', 'destroy', 'break'] as const)(
    'by %s, everything under way ends with it',
    async (how) => {
      const { stream, kill } = server.open()
      const wire = await connectWire(stream, server)
      const command = await wire.exec({
        command: 'sleep 100',
        timeout: 1000,
        signal: new AbortController().signal,
      })
      const running = wire
        .run({ command: 'cat', input: Buffer.alloc(0) })
        .then(() => wire.run({ command: 'sleep 100' }))
      const streams: Duplex[] = []
      const port = 45_000 + (process.pid % 5000)
      await wire.forwardOut(port, (one) => streams.push(one))
      const inward = await wire.forwardIn(port)
      await expect.poll(() => streams.length).toBe(1)
      const reading = wire.files.read('/etc/hostname', 10_000)
      await reading
      if (how === 'close') wire.close()
      else if (how === 'kill') kill()
      else if (how === 'destroy') stream.destroy()
      else stream.destroy(new Error('broken pipe'))
      await expect(command.exit).rejects.toMatchObject(lost)
      await expect(running).rejects.toMatchObject(lost)
      expect(await wire.closed).toBeTruthy()
      expect((await command.stdout.toArray()).length).toBe(0)
      await expect.poll(() => [inward, ...streams].every((one) => one.destroyed)).toBe(true)
      for (const act of [
        wire.exec({ command: 'true' }),
        wire.run({ command: 'true' }),
        wire.terminal({ columns: 80, rows: 24 }),
        wire.files.read('/etc/hostname', 10),
        wire.files.write('/tmp/x', 'x'),
        wire.files.list('/'),
        wire.forwardIn(1),
        wire.forwardOut(port + 1, () => undefined),
      ])
        await expect(act).rejects.toMatchObject(lost)
      command.kill('TERM')
      wire.close()
    },
  )

  test('requests that had no answer yet are rejected', async () => {
    const { stream } = server.open()
    const wire = await connectWire(stream, server)
    const acts = [
      wire.exec({ command: 'true' }),
      wire.run({ command: 'true' }),
      wire.terminal({ columns: 80, rows: 24 }),
      wire.files.stat('/'),
      wire.forwardIn(1),
      wire.forwardOut(2, () => undefined),
    ]
    wire.close()
    for (const act of acts) await expect(act).rejects.toMatchObject(lost)
  })

  test('a silent peer is noticed', async () => {
    const wire = await connectWire(server.open().stream, { ...server, keepalive: 100 })
    const session = Number((await wire.run({ command: 'echo $PPID' })).stdout.toString())
    process.kill(session, 'SIGSTOP')
    expect(await wire.closed).toContain('Keepalive')
    process.kill(session, 'SIGKILL')
  })

  test('a new one can forward the same port at once', async () => {
    const port = 50_000 + (process.pid % 5000)
    for (let round = 0; round < 3; round++) {
      const wire = await connectWire(server.open().stream, server)
      await wire.forwardOut(port, (stream) => stream.end(`round ${round}`))
      const { stdout } = await wire.run({ command: `cat </dev/tcp/127.0.0.1/${port}` })
      expect(stdout.toString()).toBe(`round ${round}`)
      wire.close()
    }
  })
})
