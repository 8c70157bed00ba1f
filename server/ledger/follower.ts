import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'

const maxQueued = 256
const maxQueuedBytes = 1024 * 1024

/**
 * What one reader of one run has not taken yet, bounded. A reader that falls behind gets nothing
 * handed over until it has read the store to its end; it only learns how far that end is.
 */
export class Follower {
  #queue: Event[] = []
  #bytes = 0
  #live = false
  /** The highest seq that is known to be stored. */
  #known = 0
  #unsure = false
  #wake: (() => void) | null = null

  push(events: readonly Event[], bytes: number): void {
    this.#known = Math.max(this.#known, events.at(-1)?.seq ?? 0)
    if (this.#live) {
      this.#bytes += bytes
      if (this.#queue.length + events.length > maxQueued || this.#bytes > maxQueuedBytes) this.#leaveLive()
      else this.#queue.push(...events)
    }
    this.#wake?.()
  }

  /** Another process stored events up to `seq`. */
  hint(seq: number): void {
    this.#known = Math.max(this.#known, seq)
    this.#wake?.()
  }

  /** Notices may have been missed: the store must be asked. */
  recheck(): void {
    this.#unsure = true
    this.#wake?.()
  }

  #leaveLive(): void {
    this.#live = false
    this.#queue = []
    this.#bytes = 0
  }

  /** The handed over events that directly follow `cursor`. */
  take(cursor: number): Event[] {
    const queue = this.#queue
    this.#queue = []
    this.#bytes = 0
    const start = queue.findIndex((event) => event.seq > cursor)
    if (start === -1 || queue[start]?.seq !== cursor + 1) return []
    const fresh = queue.slice(start)
    const gap = fresh.findIndex((event, index) => event.seq !== cursor + 1 + index)
    return gap === -1 ? fresh : fresh.slice(0, gap)
  }

  /** Whether the store has, or may have, more than `cursor`. From now on events are handed over again, so what is stored after a read that begins now is not missed. */
  mustRead(cursor: number): boolean {
    if (!this.#unsure && this.#known <= cursor) {
      this.#live = true
      return false
    }
    this.#unsure = false
    this.#leaveLive()
    this.#live = true
    return true
  }

  /** Resolves at the next news, or when `signal` aborts. */
  async news(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#wake = null
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      signal.addEventListener('abort', done, { once: true })
    })
  }
}

/** The followers of this process, by run. */
export class Hub {
  readonly #followers = new Map<RunId, Set<Follower>>()

  add(run: RunId): Follower {
    const follower = new Follower()
    const others = this.#followers.get(run) ?? new Set()
    this.#followers.set(run, others.add(follower))
    return follower
  }

  remove(run: RunId, follower: Follower): void {
    const others = this.#followers.get(run)
    others?.delete(follower)
    if (others?.size === 0) this.#followers.delete(run)
  }

  push(run: RunId, events: readonly Event[], bytes: number): void {
    for (const follower of this.#followers.get(run) ?? []) follower.push(events, bytes)
  }

  hint(run: RunId, seq: number): void {
    for (const follower of this.#followers.get(run) ?? []) follower.hint(seq)
  }

  recheck(): void {
    for (const followers of this.#followers.values()) for (const follower of followers) follower.recheck()
  }
}
