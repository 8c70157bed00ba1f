import type { Duplex } from 'node:stream'
import type { AcceptConnection, Channel, ClientChannel, RejectConnection, TcpConnectionDetails } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import { channelDuplex, channelInput, channelOutputs } from './channel.ts'
import type { Session } from './session.ts'

/** Connections out of one sandbox at a time; a guest could open any number. */
const mostConnections = 512
/** How long a port may still be held by the sshd of an earlier connection that has just ended. */
const portWait = { tries: 20, ms: 100 }
/** SSH's reason code for an administratively prohibited channel (RFC 4254, 5.1). */
const prohibited = 1

function streamOf(session: Session, channel: Channel): Duplex {
  session.track(channel)
  const outputs = channelOutputs(channel)
  const input = channelInput(channel)
  const duplex = channelDuplex(channel, outputs, input)
  const unwatch = session.watch(() => duplex.destroy())
  channel.on('close', () => {
    input.destroy()
    // Nobody listens and nothing is left to read: without a reader a stream would never end.
    const unread = duplex.readableLength + outputs.stdout.readableLength
    if (unread === 0 && duplex.readableFlowing === null && duplex.listenerCount('readable') === 0)
      duplex.resume()
  })
  duplex.on('close', unwatch)
  return duplex
}

export function forwardIn(session: Session, port: number): Promise<Duplex> {
  return session
    .call<ClientChannel, Duplex>(
      (done) => session.client.forwardOut('127.0.0.1', 0, '127.0.0.1', port, done),
      (channel) => streamOf(session, channel),
    )
    .catch((cause: unknown) => {
      if (cause instanceof ForgeError) throw cause
      if (cause instanceof Error && 'reason' in cause && cause.reason === prohibited)
        throw new ForgeError('denied', `the sandbox does not allow a connection to its port ${port}`, {
          cause,
        })
      throw new ForgeError('not_found', `nothing listens on port ${port} in the sandbox`, { cause })
    })
}

type OnConnection = (stream: Duplex) => void

/** The ports inside that lead here. */
export class ForwardsOut {
  readonly #session: Session
  readonly #ports = new Map<number, OnConnection>()
  #connections = 0

  constructor(session: Session) {
    this.#session = session
    session.client.on('tcp connection', (details, accept, reject) => this.#accept(details, accept, reject))
  }

  #accept(details: TcpConnectionDetails, accept: AcceptConnection, reject: RejectConnection): void {
    const onConnection = this.#ports.get(details.destPort)
    if (onConnection === undefined || this.#connections >= mostConnections) {
      reject()
      return
    }
    this.#connections++
    const duplex = streamOf(this.#session, accept())
    duplex.on('close', () => {
      this.#connections--
    })
    try {
      onConnection(duplex)
    } catch (thrown) {
      // One connection's trouble; ssh2 would end the whole wire for it.
      duplex.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  }

  async open(port: number, onConnection: OnConnection): Promise<void> {
    if (this.#ports.has(port)) throw new ForgeError('conflict', `port ${port} is forwarded already`)
    this.#ports.set(port, onConnection)
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#session.call<number, void>(
          (done) => this.#session.client.forwardIn('127.0.0.1', port, (error, bound) => done(error, bound)),
          () => undefined,
        )
        return
      } catch (cause) {
        if (cause instanceof ForgeError || attempt === portWait.tries) {
          this.#ports.delete(port)
          if (cause instanceof ForgeError) throw cause
          throw new ForgeError('conflict', `port ${port} in the sandbox is taken`, { cause })
        }
        await new Promise((resolve) => setTimeout(resolve, portWait.ms))
      }
    }
  }
}
