import type { ClientChannel } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import type { ChannelOutputs } from './channel.ts'
import { type Signal, signalGroup } from './kill.ts'
import type { ExecExit } from './wire.ts'

/** Between SIGTERM and SIGKILL, in milliseconds. */
const killAfter = 2000
/** Milliseconds from sshd's answer to the command's own process group, and between two SIGKILLs. */
const groupReadyAfter = 50
const killAgainAfter = 200
/** From the stop of a command to giving up on what does not even die of SIGKILL. */
const giveUpAfter = 5000
/**
 * After the main process has exited, its last output is at most a few reads away; whoever holds the pipes
 * longer was left in the background. Counted in ticks with the reader keeping up, not in wall time: after a
 * stall of this process the waiting bytes are read between two ticks. `bytes` is more than pipes, windows and
 * buffers can hold of the main process's own.
 */
const grace = { tick: 50, idleTicks: 8, ticks: 40, bytes: 16 * 1024 * 1024 }

/** The ending of one command: whichever of exit, stop, grace and loss comes, it ends once. */
export class Ending {
  readonly exit: Promise<ExecExit>
  readonly #channel: ClientChannel
  readonly #outputs: ChannelOutputs
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #onDone: () => void
  readonly #settle: { resolve(exit: ExecExit): void; reject(error: ForgeError): void }
  #status: { code: number | null; signal: string | null } | null = null
  #cause: 'timeout' | 'abort' | null = null
  #swept: Promise<unknown> = Promise.resolve()
  #done = false
  readonly #startedAt = performance.now()

  constructor(channel: ClientChannel, outputs: ChannelOutputs, onDone: () => void) {
    this.#channel = channel
    this.#outputs = outputs
    this.#onDone = onDone
    const { promise, resolve, reject } = Promise.withResolvers<ExecExit>()
    this.exit = promise
    // A caller that only reads the output must not end the process when the wire breaks.
    promise.catch(() => undefined)
    this.#settle = { resolve, reject }
  }

  get exited(): boolean {
    return this.#status !== null
  }

  after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
  }

  /**
   * To the process group, which sshd answers for a moment before it is there: a signal then would get lost.
   * SIGKILL, which may come twice, is given until it has worked.
   */
  signal(signal: Signal): void {
    if (this.#done || this.exited) return
    const wait = this.#outputs.bytes() > 0 ? 0 : this.#startedAt + groupReadyAfter - performance.now()
    if (wait > 0) {
      this.after(wait, () => this.signal(signal))
      return
    }
    signalGroup(this.#channel, signal)
    if (signal === 'KILL') this.after(killAgainAfter, () => this.signal('KILL'))
  }

  onExit(code: number | null, signal: string | null): void {
    if (this.#status !== null) return
    this.#status = { code, signal }
    const bytes = this.#outputs.bytes()
    this.#tick({ idle: 0, total: 0, bytes, last: bytes + grace.bytes })
  }

  #tick(past: { idle: number; total: number; bytes: number; last: number }): void {
    this.after(grace.tick, () => {
      if (this.#done) return
      const bytes = this.#outputs.bytes()
      const blocked = this.#outputs.blocked()
      const idle = blocked || bytes !== past.bytes ? 0 : past.idle + 1
      const total = blocked ? past.total : past.total + 1
      if (idle >= grace.idleTicks || total >= grace.ticks || bytes > past.last) this.finish()
      else this.#tick({ idle, total, bytes, last: past.last })
    })
  }

  stop(cause: 'timeout' | 'abort', kill: () => Promise<unknown>): void {
    if (this.#done || this.#cause !== null) return
    this.#cause = cause
    this.#swept = kill()
    this.after(killAfter, () => {
      this.signal('KILL')
    })
    this.after(giveUpAfter, () => {
      this.#swept = Promise.resolve()
      this.finish()
    })
  }

  /** The caller let go of a terminal: its programs are hung up on, and sshd will tell no exit of a closed channel. */
  hangUp(): void {
    this.#status ??= { code: null, signal: 'HUP' }
    this.finish()
  }

  /** Ends the outputs with what they have; the exit follows when the last of the killed is gone. */
  finish(): void {
    if (this.#done) return
    const bound = this.#cause === null ? this.#swept : Promise.race([this.#swept, this.#gaveUp()])
    this.#done = true
    this.#clear()
    this.#outputs.finish()
    this.#channel.close()
    this.#onDone()
    const status = this.#status ?? (this.#cause === null ? null : { code: null, signal: 'KILL' })
    if (status === null) {
      this.#settle.reject(
        new ForgeError('sandbox_lost', 'the command’s channel closed without an exit status'),
      )
      return
    }
    const flags = { timedOut: this.#cause === 'timeout', aborted: this.#cause === 'abort' }
    void Promise.all([bound.catch(() => undefined), this.#outputs.delivered()]).then(() =>
      this.#settle.resolve({ ...status, ...flags }),
    )
  }

  #gaveUp(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, giveUpAfter).unref())
  }

  lose(error: ForgeError): void {
    if (this.#done) return
    this.#done = true
    this.#clear()
    this.#outputs.finish()
    this.#onDone()
    this.#settle.reject(error)
  }

  #clear(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
