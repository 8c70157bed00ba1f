import type { Host } from '../../host.ts'

/** The outcome of a run that a signal to its client ended. */
type Stopped = 'interrupted' | 'terminated'

/** Called for each signal; `again` for every one after the first. */
type StopHandler = (outcome: Stopped, again: boolean) => void

/**
 * Takes SIGINT, SIGTERM and SIGHUP over until it is disposed of. Until there is somebody who handles them, the
 * first one aborts `signal` and a second one ends the process.
 */
export class StopSignals implements Disposable {
  #first: Stopped | undefined
  #handler: StopHandler | undefined
  readonly #host: Host
  readonly #abort = new AbortController()
  readonly #restore: (() => void)[]

  constructor(host: Host) {
    this.#host = host
    this.#restore = [
      host.onSignal('SIGINT', () => this.#stop('interrupted')),
      host.onSignal('SIGTERM', () => this.#stop('terminated')),
      host.onSignal('SIGHUP', () => this.#stop('terminated')),
    ]
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get first(): Stopped | undefined {
    return this.#first
  }

  /** From now on `handler` gets them, and first of all the one that has come already. */
  handle(handler: StopHandler): void {
    this.#handler = handler
    if (this.#first) handler(this.#first, false)
  }

  [Symbol.dispose](): void {
    for (const undo of this.#restore) undo()
  }

  #stop(outcome: Stopped): void {
    const again = this.#first !== undefined
    this.#first ??= outcome
    this.#abort.abort()
    if (this.#handler) this.#handler(outcome, again)
    else if (again) this.#host.exit(outcome === 'interrupted' ? 130 : 143)
  }
}
