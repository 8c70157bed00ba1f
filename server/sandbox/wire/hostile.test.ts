import type { Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import ssh2, { type Connection, type ServerChannel } from 'ssh2'
import { expect, test } from 'vitest'
import { connectWire } from './connect.ts'
import { makeKeyPair } from './keys.ts'
import { realSshd } from './real-sshd.ts'

/** What a guest could put in the place of its sshd: it speaks SSH, but not as it should. */
async function hostile(onExec: (channel: ServerChannel, connection: Connection) => void) {
  const host = makeKeyPair()
  const client = makeKeyPair()
  const [ours, theirs] = duplexPair()
  const server = new ssh2.Server({ hostKeys: [host.privateKey] }, (connection) => {
    connection.on('error', () => undefined)
    connection.on('authentication', (context) => context.accept())
    connection.on('session', (accept) => {
      accept().on('exec', (acceptExec) => onExec(acceptExec(), connection))
    })
  })
  // Its types want a socket; it uses no more of it than a stream has.
  server.injectSocket(theirs as Socket)
  return connectWire(ours, { clientPrivateKey: client.privateKey, hostPublicKey: host.publicKey })
}

/** ssh2's server end, without its regard for the client's window. */
interface Raw {
  readonly outgoing: { readonly id: number }
  readonly _client: { readonly _protocol: { channelData(id: number, data: Buffer): void } }
}

test('a peer that sends more than was asked for is cut off', async () => {
  const wire = await hostile((channel) => {
    const raw = channel as unknown as Raw
    const flood = (): void => {
      if (!channel.writable) return
      for (let i = 0; i < 32; i++) raw._client._protocol.channelData(raw.outgoing.id, Buffer.alloc(30_000))
      setImmediate(flood)
    }
    flood()
  })
  const before = process.memoryUsage().rss
  const { exit } = await wire.exec({ command: 'anything' })
  await expect(exit).rejects.toMatchObject({ code: 'sandbox_lost' })
  expect(await wire.closed).toContain('flow control')
  expect(process.memoryUsage().rss - before).toBeLessThan(200e6)
})

test('a peer that closes a channel without an exit is no success', async () => {
  const wire = await hostile((channel) => channel.end())
  const closing = await hostile((channel) => channel.close())
  for (const one of [wire, closing]) {
    const { exit } = await one.exec({ command: 'anything', timeout: 200 })
    const ended = await exit.catch((error: unknown) => error)
    expect(ended).not.toMatchObject({ code: 0 })
    one.close()
  }
})

test('a peer that never ends a command is given up on', async () => {
  const wire = await hostile((channel) => channel.write('still here'))
  const started = Date.now()
  const result = await wire.run({ command: 'anything', timeout: 100 })
  expect(result).toMatchObject({ timedOut: true, code: null, signal: 'KILL' })
  expect(Date.now() - started).toBeLessThan(20_000)
  wire.close()
})

test('exits that make no sense do no harm', async () => {
  const wire = await hostile((channel) => {
    channel.exit(4_000_000_000)
    channel.exit('KILL', true, 'x'.repeat(10_000))
    channel.end()
    channel.close()
  })
  expect(await wire.run({ command: 'anything' })).toMatchObject({ code: 4_000_000_000 })
  wire.close()
})

test('a guest may open only so many connections out', async () => {
  await using server = await realSshd()
  const wire = await connectWire(server.open().stream, server)
  const streams = new Set<Duplex>()
  const port = 40_000 + (process.pid % 5000)
  await wire.forwardOut(port, (stream) => {
    streams.add(stream)
    stream.on('close', () => streams.delete(stream))
    stream.on('end', () => stream.end()).resume()
  })
  const { stdout } = await wire.run({
    command: `perl -MIO::Socket::INET -e '
      for (1..600) { push @all, IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => ${port}) }
      sleep 1; $n = 0; for (@all) { $_->blocking(0); $n++ if defined sysread($_, my $b, 1) } print $n'`,
    timeout: 20_000,
  })
  // Each of these was closed at once.
  expect(Number(stdout.toString())).toBe(600 - 512)
  await expect.poll(() => streams.size).toBe(0)
  const again = await wire.run({ command: `exec 3<>/dev/tcp/127.0.0.1/${port}` })
  expect(again.code).toBe(0)
  wire.close()
}, 60_000)
