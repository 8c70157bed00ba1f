import type { Duplex } from 'node:stream'

interface Client {
  /** Requests under way on it. */
  active: number
  timer: NodeJS.Timeout | undefined
}

interface ClientLimits {
  /** Connections, and requests under way, at one time. */
  readonly connections: number
  /** Milliseconds that a connection may take to bring its next request. */
  readonly headersTimeout: number
}

/** The connections of one sandbox: how many, how busy, and since when idle. */
export class Clients {
  readonly #clients = new Map<Duplex, Client>()
  readonly #limits: ClientLimits
  #requests = 0

  constructor(limits: ClientLimits) {
    this.#limits = limits
  }

  /** False when there are too many. */
  add(stream: Duplex): boolean {
    if (this.#clients.size >= this.#limits.connections) return false
    this.#clients.set(stream, { active: 0, timer: undefined })
    this.#wait(stream)
    stream.once('close', () => {
      clearTimeout(this.#clients.get(stream)?.timer)
      this.#clients.delete(stream)
    })
    return true
  }

  /** Whether the stream has requests that are not answered yet. */
  busy(stream: Duplex): boolean {
    return (this.#clients.get(stream)?.active ?? 0) > 0
  }

  /** Counts a request until the returned function is called; null when there are too many. */
  begin(stream: Duplex): (() => void) | null {
    const client = this.#clients.get(stream)
    if (!client || this.#requests >= this.#limits.connections) return null
    clearTimeout(client.timer)
    client.active++
    this.#requests++
    let done = false
    return () => {
      if (done) return
      done = true
      client.active--
      this.#requests--
      this.#wait(stream)
    }
  }

  close(): void {
    for (const stream of [...this.#clients.keys()]) stream.destroy()
  }

  #wait(stream: Duplex): void {
    const client = this.#clients.get(stream)
    if (!client || client.active > 0) return
    clearTimeout(client.timer)
    client.timer = setTimeout(() => stream.destroy(), this.#limits.headersTimeout).unref()
  }
}
