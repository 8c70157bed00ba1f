import type { Duplex } from 'node:stream'
import ssh2 from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import { start } from './exec.ts'
import { wireFiles } from './files.ts'
import { ForwardsOut, forwardIn } from './forward.ts'
import { finishRun } from './run.ts'
import { Session } from './session.ts'
import { guestUser } from './sshd-config.ts'
import { openTerminal } from './terminal.ts'
import type { Wire, WireFiles } from './wire.ts'

interface ConnectOptions {
  /** OpenSSH private key. */
  readonly clientPrivateKey: string
  /** One-line OpenSSH public key: the only one that the guest may present. */
  readonly hostPublicKey: string
  /** Default `guestUser`. */
  readonly user?: string
  readonly signal?: AbortSignal
  /** Milliseconds until the guest must have let us in; default 20 s. */
  readonly handshakeTimeout?: number
  /** Milliseconds between questions to a silent peer, default 10 s; three without an answer end the connection. */
  readonly keepalive?: number
}

function keyBlob(publicKey: string): Buffer {
  const [type, base64] = publicKey.trim().split(/\s+/)
  if (type !== 'ssh-ed25519' || base64 === undefined)
    throw new ForgeError('invalid_input', 'the host key of the sandbox is not an ed25519 key')
  return Buffer.from(base64, 'base64')
}

/** The handshake. ssh2 reports errors on several objects and more than once: all lead to `session.end`. */
async function handshake(stream: Duplex, options: ConnectOptions): Promise<Session> {
  const expected = keyBlob(options.hostPublicKey)
  if (options.signal?.aborted) throw new ForgeError('interrupted', 'connecting to the sandbox was stopped')
  const client = new ssh2.Client()
  const session = new Session(client, stream)
  const { promise, resolve, reject } = Promise.withResolvers<Session>()
  const fail = (error: ForgeError): void => {
    reject(error)
    session.end(error.message)
  }
  const deadline = options.handshakeTimeout ?? 20_000
  const timer = setTimeout(
    () => fail(new ForgeError('timed_out', `the sandbox did not complete its handshake in ${deadline} ms`)),
    deadline,
  )
  const onAbort = () => fail(new ForgeError('interrupted', 'connecting to the sandbox was stopped'))
  options.signal?.addEventListener('abort', onAbort, { once: true })
  session.watch(reject)
  client.on('error', (error) => session.end(error.message))
  client.on('end', () => session.end('the stream ended'))
  client.on('close', () => session.end('the stream was closed'))
  client.once('ready', () => resolve(session))
  stream.on('error', (error) => session.end(error.message))
  try {
    client.connect({
      sock: stream as ConnectSocket,
      username: options.user ?? guestUser,
      privateKey: options.clientPrivateKey,
      authHandler: ['publickey'],
      hostVerifier: (key: Buffer) => {
        if (key.equals(expected)) return true
        fail(
          new ForgeError(
            'sandbox_lost',
            'the other end of the stream is not this sandbox: its host key differs',
          ),
        )
        return false
      },
      algorithms: {
        kex: ['curve25519-sha256'],
        cipher: ['aes128-gcm@openssh.com'],
        serverHostKey: ['ssh-ed25519'],
      },
      readyTimeout: 0,
      keepaliveInterval: options.keepalive ?? 10_000,
      keepaliveCountMax: 3,
    })
  } catch (cause) {
    fail(new ForgeError('invalid_input', 'the key of the sandbox’s client cannot be used', { cause }))
  }
  return promise.finally(() => {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onAbort)
  })
}

type ConnectSocket = NonNullable<ssh2.ConnectConfig['sock']>

/**
 * Speaks SSH to the guest's sshd over `stream`, which belongs to the wire from then on and ends with it.
 * Throws `sandbox_lost` when the peer is not the sandbox, refuses or goes away, `timed_out`, `interrupted`.
 */
export async function connectWire(stream: Duplex, options: ConnectOptions): Promise<Wire> {
  // For good: a stream may report its end as an error long after the wire has ended.
  stream.on('error', () => undefined)
  const session = await handshake(stream, options).catch((error: unknown) => {
    stream.destroy()
    throw error
  })
  const forwards = new ForwardsOut(session)
  const files: WireFiles = wireFiles(
    session,
    async (request) => (await start({ session, files }, request)).process,
  )
  const context = { session, files }
  return {
    exec: async (request) => (await start(context, request)).process,
    run: async (request) => finishRun((await start(context, request)).process, request),
    terminal: (request) => openTerminal(context, request),
    files,
    forwardIn: (port) => forwardIn(session, port),
    forwardOut: (port, onConnection) => forwards.open(port, onConnection),
    close: () => session.end('closed by the server'),
    closed: session.closed,
  }
}
