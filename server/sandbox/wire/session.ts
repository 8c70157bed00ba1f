import type { Duplex, Readable } from 'node:stream'
import type { Channel, Client } from 'ssh2'
import { ForgeError } from '#core/errors.ts'

/**
 * ssh2 never refuses what comes beyond a channel's window, and a guest may have put anything in its sshd's place.
 * One that keeps to the windows of 2 MiB can make at most twice that wait for a reader.
 */
const mostWaiting = 16 * 1024 * 1024
/** Bytes of the stream between two looks at what waits. */
const lookEvery = 1024 * 1024

type Done<T> = (error: unknown, value: T) => void

/** The live connection that a wire's parts share: who waits on it learns that it ended, whatever ssh2 does. */
export class Session {
  readonly client: Client
  readonly closed: Promise<string>
  readonly #stream: Duplex
  readonly #channels = new Set<Channel>()
  #unseen = 0
  readonly #watchers = new Set<(lost: ForgeError) => void>()
  #lost: ForgeError | null = null
  #resolveClosed: (reason: string) => void = () => undefined

  constructor(client: Client, stream: Duplex) {
    this.client = client
    this.#stream = stream
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    stream.on('data', (chunk: Buffer) => this.#look(chunk.length))
  }

  /** Counts what waits for readers of this channel until it closes. */
  track(channel: Channel): void {
    this.#channels.add(channel)
    channel.on('close', () => this.#channels.delete(channel))
  }

  #look(bytes: number): void {
    this.#unseen += bytes
    if (this.#unseen < lookEvery) return
    this.#unseen = 0
    for (const channel of this.#channels)
      if (channel.readableLength + (channel.stderr as Readable).readableLength > mostWaiting) {
        this.end('the other end does not keep to flow control')
        return
      }
  }

  get lost(): ForgeError | null {
    return this.#lost
  }

  /** Calls back once, when the connection ends; gives the function that takes the watcher away. */
  watch(onLost: (lost: ForgeError) => void): () => void {
    if (this.#lost !== null) {
      onLost(this.#lost)
      return () => undefined
    }
    this.#watchers.add(onLost)
    return () => this.#watchers.delete(onLost)
  }

  end(reason: string): void {
    if (this.#lost !== null) return
    const lost = new ForgeError('sandbox_lost', `the connection to the sandbox ended: ${reason}`)
    this.#lost = lost
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const watcher of watchers) watcher(lost)
    this.client.end()
    this.#stream.destroy()
    this.#resolveClosed(reason)
  }

  /**
   * One request to ssh2. `take` runs inside ssh2's callback, before any later packet is handled:
   * what attaches listeners must not wait for a microtask.
   */
  call<T, R>(start: (done: Done<T>) => void, take: (value: T) => R): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const unwatch = this.watch(reject)
      if (this.#lost !== null) return
      try {
        start((error, value) => {
          unwatch()
          if (error) return reject(this.#why(error))
          try {
            resolve(take(value))
          } catch (thrown) {
            reject(thrown)
          }
        })
      } catch (thrown) {
        unwatch()
        reject(this.#why(thrown))
      }
    })
  }

  /** ssh2 sees a destroyed stream before the stream says that it is closed. */
  #why(error: unknown): unknown {
    if (this.#stream.destroyed || !this.#stream.writable) this.end('the stream is closed')
    return this.#lost ?? error
  }
}
