/** Lets so many work at the same time; the others wait, first come first served. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#free = most
  }

  /** Whoever is aborted waits no longer and works beside the others: all that is left to do is to clear up. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const counted = await this.#take(signal)
    try {
      return await work()
    } finally {
      if (counted) this.#handOn()
    }
  }

  async #take(signal: AbortSignal): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1
      return true
    }
    if (signal.aborted) return false
    return new Promise((resolve) => {
      const begin = () => {
        signal.removeEventListener('abort', leave)
        resolve(true)
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1)
        resolve(false)
      }
      this.#waiting.push(begin)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #handOn(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}
