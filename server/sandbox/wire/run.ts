import type { Readable } from 'node:stream'
import type { ExecProcess, RunResult } from './wire.ts'

/** The first half and the last half of a stream, in at most `limit` bytes and a few chunks of slack. */
class Bounded {
  readonly #headLimit: number
  readonly #tailLimit: number
  readonly #head: Buffer[] = []
  #headBytes = 0
  #tail: Buffer[] = []
  #tailBytes = 0
  #total = 0

  constructor(limit: number) {
    this.#headLimit = Math.ceil(limit / 2)
    this.#tailLimit = limit - this.#headLimit
  }

  add(chunk: Buffer): void {
    this.#total += chunk.length
    const room = this.#headLimit - this.#headBytes
    if (room > 0) {
      // A copy: a slice would keep the packet that it is cut from.
      this.#head.push(chunk.length <= room ? chunk : Buffer.from(chunk.subarray(0, room)))
      this.#headBytes += Math.min(room, chunk.length)
    }
    if (chunk.length <= room) return
    const rest = room > 0 ? chunk.subarray(room) : chunk
    this.#tail.push(rest)
    this.#tailBytes += rest.length
    if (this.#tailBytes > 2 * this.#tailLimit + 65_536) this.#trim()
  }

  #trim(): void {
    const joined = Buffer.concat(this.#tail)
    const kept = Buffer.from(joined.subarray(Math.max(0, joined.length - this.#tailLimit)))
    this.#tail = [kept]
    this.#tailBytes = kept.length
  }

  result(): { bytes: Buffer; dropped: number } {
    this.#trim()
    const bytes = Buffer.concat([...this.#head, ...this.#tail])
    return { bytes, dropped: this.#total - bytes.length }
  }
}

function collect(stream: Readable, limit: number): Bounded {
  const bounded = new Bounded(limit)
  stream.on('data', (chunk: Buffer) => bounded.add(chunk))
  return bounded
}

/** Feeds a process and waits for it. */
export async function finishRun(
  process: ExecProcess,
  options: { input?: Buffer | string; maxOutput?: number },
): Promise<RunResult> {
  const limit = options.maxOutput ?? 1024 * 1024
  const out = collect(process.stdout, limit)
  const err = collect(process.stderr, limit)
  process.stdin.end(options.input ?? '')
  const exit = await process.exit
  const stdout = out.result()
  const stderr = err.result()
  return {
    ...exit,
    stdout: stdout.bytes,
    stderr: stderr.bytes,
    droppedBytes: stdout.dropped + stderr.dropped,
  }
}
