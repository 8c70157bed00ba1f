import { Duplex, Readable, Writable } from 'node:stream'
import type { Channel } from 'ssh2'

/** Bytes that wait for a slow reader, for each stream; beyond it the channel's window closes. */
const highWaterMark = 256 * 1024

export interface ChannelOutputs {
  readonly stdout: Readable
  readonly stderr: Readable
  /** A reader is slower than the channel. */
  blocked(): boolean
  /** How much came so far. */
  bytes(): number
  /** Ends both streams with what they have. */
  finish(): void
  /** Resolves when both have got their last byte, whether or not it was read. */
  readonly ended: Promise<void>
  /** Resolves when whoever reads has been given the last byte; a stream that nobody reads is not waited for. */
  delivered(): Promise<void>
}

const isRead = (stream: Readable): boolean =>
  stream.readableFlowing !== null || stream.listenerCount('readable') > 0

async function delivered(stream: Readable): Promise<void> {
  // A command may end before its caller, who reads as soon as it has the streams, was told that it began.
  if (!isRead(stream)) await new Promise((resolve) => setImmediate(resolve))
  if (!isRead(stream) || stream.readableEnded || stream.destroyed) return
  await new Promise<void>((resolve) => stream.once('end', resolve).once('close', resolve))
}

/**
 * Streams of our own in front of a channel's. ssh2's reopen the shared window whenever one of the two is
 * read, so a slow reader of the other would collect bytes without bound; and they report their end only to
 * a reader. Here both pause together.
 */
export function channelOutputs(channel: Channel): ChannelOutputs {
  const sources: Readable[] = channel.stderr instanceof Readable ? [channel, channel.stderr] : [channel]
  const full = new Set<Readable>()
  let bytes = 0
  const release = (output: Readable): void => {
    if (full.delete(output) && full.size === 0) for (const source of sources) source.resume()
  }
  const make = (): Readable => {
    const output: Readable = new Readable({
      highWaterMark,
      read: () => release(output),
      destroy: (error, done) => {
        release(output)
        done(error)
      },
    })
    return output
  }
  const outputs = sources.map(make)
  const end = (output: Readable): void => {
    if (!output.destroyed && !output.readableEnded) output.push(null)
  }
  const ends = sources.map((source, index) => {
    const output = outputs[index] as Readable
    return new Promise<void>((resolve) => {
      source.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (output.destroyed || output.push(chunk)) return
        full.add(output)
        for (const one of sources) one.pause()
      })
      source.on('end', () => {
        end(output)
        resolve()
      })
      source.on('error', () => undefined)
    })
  })
  const [stdout, stderr] = outputs as [Readable, Readable | undefined]
  return {
    stdout,
    stderr: stderr ?? Readable.from([]),
    blocked: () => full.size > 0,
    bytes: () => bytes,
    finish: () => {
      for (const source of sources) source.removeAllListeners('data').resume()
      outputs.forEach(end)
    },
    ended: Promise.all(ends).then(() => undefined),
    delivered: () => Promise.all(outputs.map(delivered)).then(() => undefined),
  }
}

/**
 * The way into a channel. ssh2 forgets the callback of a write when the other side has closed: whoever owns
 * this destroys it then, and every writer is let go without an error, as `yes | head` would be.
 */
export function channelInput(channel: Channel): Writable {
  let release: () => void = () => undefined
  const input = new Writable({
    highWaterMark,
    write: (chunk: Buffer, _encoding, done) => {
      let called = false
      release = () => {
        if (called) return
        called = true
        done()
      }
      channel.write(chunk, release)
    },
    final: (done) => {
      channel.end()
      done()
    },
    destroy: (_error, done) => {
      release()
      done(null)
    },
  })
  input.on('error', () => undefined)
  return input
}

/** A two-way stream of a forward or a terminal; destroying it before its end closes the channel. */
export function channelDuplex(channel: Channel, outputs: ChannelOutputs, input: Writable): Duplex {
  const { stdout } = outputs
  const duplex: Duplex = new Duplex({
    highWaterMark,
    read: () => {
      stdout.resume()
    },
    write: (chunk: Buffer, _encoding, done) => {
      input.write(chunk, () => done())
    },
    final: (done) => {
      input.end(() => done())
    },
    destroy: (error, done) => {
      const whole = duplex.readableEnded && duplex.writableFinished
      input.destroy()
      stdout.destroy()
      if (!whole) channel.close()
      done(error)
    },
  })
  stdout.on('data', (chunk: Buffer) => {
    if (!duplex.push(chunk)) stdout.pause()
  })
  stdout.on('end', () => duplex.push(null))
  // A stream of a hostile peer must not end the process when its owner listens to nothing.
  duplex.on('error', () => undefined)
  input.once('close', () => duplex.end())
  return duplex
}
