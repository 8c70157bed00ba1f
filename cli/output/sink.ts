import { write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'

/** Whoever read our output has gone: there is nobody left to tell. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone'
}

const writeSome = (fd: number, bytes: Buffer): Promise<number> =>
  new Promise((resolve, reject) =>
    write(fd, bytes, (error, written) => (error ? reject(error) : resolve(written))),
  )

const failure = (error: NodeJS.ErrnoException): Error => {
  if (error.code === 'EPIPE') return new ReaderGone('the reader of the output has gone', { cause: error })
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    return new ForgeError('disk_full', 'the output cannot be written: no space is left on its device', {
      cause: error,
    })
  return new ForgeError('internal', `the output cannot be written: ${error.message}`, { cause: error })
}

/**
 * Writes whole texts to a descriptor, in order. Node's own standard streams write to terminals and files
 * synchronously, so a stalled terminal would freeze the program, and lose the rest of a short write.
 */
export class Sink {
  readonly #fd: number
  #queued: (string | Uint8Array)[] = []
  #flushing: Promise<void> | undefined
  #broken: Error | undefined

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Whether something is still to be written. */
  get pending(): boolean {
    return this.#flushing !== undefined
  }

  /** Resolves when nothing is left to write, or can be. */
  async drain(): Promise<void> {
    await this.#flushing?.catch(() => {})
  }

  /** A write has failed, and all later ones will. */
  get broken(): boolean {
    return this.#broken !== undefined
  }

  /** Resolves when the text is written. Throws ReaderGone, `disk_full`; then every later write does. */
  async write(text: string | Uint8Array): Promise<void> {
    if (this.#broken) throw this.#broken
    this.#queued.push(text)
    this.#flushing ??= this.#flush()
    await this.#flushing
  }

  async #flush(): Promise<void> {
    try {
      while (this.#queued.length > 0) {
        const batch = this.#queued
        this.#queued = []
        await this.#writeAll(
          Buffer.concat(batch.map((text) => (typeof text === 'string' ? Buffer.from(text) : text))),
        )
      }
    } catch (error) {
      this.#broken = failure(error as NodeJS.ErrnoException)
      throw this.#broken
    } finally {
      this.#flushing = undefined
    }
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      try {
        at += await writeSome(this.#fd, bytes.subarray(at))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        await sleep(4)
      }
    }
  }
}
