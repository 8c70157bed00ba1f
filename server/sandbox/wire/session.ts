import type { Duplex } from 'node:stream'
import type { Client } from 'ssh2'
import { ForgeError } from '#core/errors.ts'

type Done<T> = (error: unknown, value: T) => void

/** The live connection that a wire's parts share: who waits on it learns that it ended, whatever ssh2 does. */
export class Session {
  readonly client: Client
  readonly closed: Promise<string>
  readonly #stream: Duplex
  readonly #watchers = new Set<(lost: ForgeError) => void>()
  #lost: ForgeError | null = null
  #resolveClosed: (reason: string) => void = () => undefined

  constructor(client: Client, stream: Duplex) {
    this.client = client
    this.#stream = stream
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
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
