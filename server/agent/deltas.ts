type DeltaKind = 'text' | 'thinking'

const minGapMs = 50
const maxHeld = 4096

/**
 * Puts streamed text together, so that the ledger gets an event at most every 50 ms or every 4096 characters.
 * `send` is called one at a time and in order; its failure comes out of the next `push` or `end`.
 */
export class Deltas {
  readonly #send: (kind: DeltaKind, text: string) => Promise<unknown>
  #kind: DeltaKind = 'text'
  #held = ''
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  constructor(send: (kind: DeltaKind, text: string) => Promise<unknown>) {
    this.#send = send
  }

  /** Resolves at once, or when there is room again. */
  async push(kind: DeltaKind, text: string): Promise<void> {
    this.#assertSound()
    if (kind !== this.#kind) await this.#flush('all')
    this.#kind = kind
    this.#held += text
    if (this.#held.length >= maxHeld) await this.#flush()
    else this.#timer ??= setTimeout(() => void this.#flush(), minGapMs)
    this.#assertSound()
  }

  /** Everything that was pushed is sent when it resolves. */
  async end(): Promise<void> {
    await this.#flush('all')
    this.#assertSound()
  }

  async #flush(what: 'whole characters' | 'all' = 'whole characters'): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    // A pair of surrogates that two chunks share stays together.
    const open = what === 'whole characters' && /[\ud800-\udbff]$/.test(this.#held) ? 1 : 0
    const text = this.#held.slice(0, this.#held.length - open).toWellFormed()
    this.#held = this.#held.slice(this.#held.length - open)
    if (text !== '') {
      const kind = this.#kind
      this.#sending = this.#sending
        .then(() => (this.#failure === undefined ? this.#send(kind, text) : undefined))
        .catch((error: unknown) => {
          this.#failure ??= { error }
        })
    }
    await this.#sending
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
