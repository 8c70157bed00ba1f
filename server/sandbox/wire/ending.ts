import type { ClientChannel } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import type { ChannelOutputs } from './channel.ts'
import { signalGroup } from './kill.ts'
import type { ExecExit } from './wire.ts'

/** Between SIGTERM and SIGKILL, in milliseconds. */
const killAfter = 2000
/** From the stop of a command to giving up on what does not even die of SIGKILL. */
const giveUpAfter = 5000
/**
 * After the main process has exited, its last output is at most a few reads away; whoever holds the pipes
 * longer was left in the background. Counted in ticks with the reader keeping up, not in wall time: after a
 * stall of this process the waiting bytes are read between two ticks.
 */
const grace = { tick: 50, idleTicks: 8, ticks: 40 }

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

  get done(): boolean {
    return this.#done
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

  onExit(code: number | null, signal: string | null): void {
    if (this.#status !== null) return
    this.#status = { code, signal }
    this.#tick(0, 0, this.#outputs.chunks())
  }

  #tick(idle: number, total: number, chunks: number): void {
    this.after(grace.tick, () => {
      if (this.#done) return
      const now = this.#outputs.chunks()
      const blocked = this.#outputs.blocked()
      const quiet = blocked || now !== chunks ? 0 : idle + 1
      const spent = blocked ? total : total + 1
      if (quiet >= grace.idleTicks || spent >= grace.ticks) this.finish()
      else this.#tick(quiet, spent, now)
    })
  }

  stop(cause: 'timeout' | 'abort', kill: () => Promise<unknown>): void {
    if (this.#done || this.#cause !== null) return
    this.#cause = cause
    this.#swept = kill()
    this.after(killAfter, () => {
      if (!this.exited) signalGroup(this.#channel, 'KILL')
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
