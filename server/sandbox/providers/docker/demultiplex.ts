import { Duplex } from 'node:stream'

/** Of a frame: one byte of stream number, three of padding, four of length (Docker Engine API, attach). */
const headerBytes = 8
const stdout = 1
const streamCount = 3

/**
 * One end of an exec whose connection was taken over: what is written is its standard input, what is read its
 * standard output. Destroying it closes the connection.
 */
class ExecStream extends Duplex {
  readonly #connection: Duplex
  #header = Buffer.alloc(0)
  #stream = 0
  #left = 0

  constructor(connection: Duplex) {
    super()
    this.#connection = connection
    connection.on('data', (chunk: Buffer) => this.#take(chunk))
    connection.on('end', () => this.push(null))
    connection.on('close', () => {
      // A connection that was cut has no end.
      if (!this.readableEnded) this.push(null)
      this.destroy()
    })
    connection.on('error', (error) => this.destroy(error))
  }

  #take(chunk: Buffer): void {
    let at = 0
    let more = true
    while (at < chunk.length) {
      if (this.#left === 0) {
        const wanted = headerBytes - this.#header.length
        this.#header = Buffer.concat([this.#header, chunk.subarray(at, at + wanted)])
        at += wanted
        if (this.#header.length < headerBytes) return
        this.#stream = this.#header.readUInt8(0)
        this.#left = this.#header.readUInt32BE(4)
        this.#header = Buffer.alloc(0)
        if (this.#stream >= streamCount) {
          this.destroy(new Error('the Docker Engine sent something that is no frame'))
          return
        }
        continue
      }
      const part = chunk.subarray(at, at + this.#left)
      at += part.length
      this.#left -= part.length
      if (this.#stream === stdout) more = this.push(part)
    }
    if (!more) this.#connection.pause()
  }

  override _read(): void {
    this.#connection.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#connection.write(chunk, (error) => done(error))
  }

  override _final(done: () => void): void {
    this.#connection.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection.destroy()
    done(error)
  }
}

export const demultiplexed = (connection: Duplex): Duplex => new ExecStream(connection)
