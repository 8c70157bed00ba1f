import type { Readable } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { ForgeError } from '#core/errors.ts'
import { channel, type ExecEnd } from '#core/sandbox/exec-frames.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import {
  largestControl,
  largestStart,
  malformed,
  parseControl,
  type Running,
  type Start,
  startCommand,
} from './exec-start.ts'

interface ServeExecOptions {
  /** Milliseconds in which the client's first message must come. */
  readonly startDeadline: number
  /** Milliseconds between pings: while nothing is read, only writing tells that the client went away. */
  readonly ping: number
}

const defaults: ServeExecOptions = { startDeadline: 10_000, ping: 15_000 }

/** Bytes that may wait for a slow client before the command's outputs are paused, and when they go on. */
const high = 1024 * 1024
const low = 256 * 1024

const ended = (stream: Readable): Promise<void> =>
  new Promise((resolve) => stream.once('end', resolve).once('close', resolve))

class ExecSocket {
  readonly #socket: WebSocket
  readonly #openWire: () => Promise<Wire>
  readonly #gone = new AbortController()
  readonly #waiting: Buffer[] = []
  #state: 'fresh' | 'starting' | 'running' | 'ended' = 'fresh'
  #running: Running | null = null
  #deadline: NodeJS.Timeout | undefined
  #reading = true

  constructor(socket: WebSocket, openWire: () => Promise<Wire>) {
    this.#socket = socket
    this.#openWire = openWire
  }

  serve(options: ServeExecOptions): void {
    const socket = this.#socket
    const late = () => this.#fail(new ForgeError('timed_out', 'no start message came in time'))
    this.#deadline = setTimeout(late, options.startDeadline)
    const ping = setInterval(() => this.#ping(), options.ping)
    socket.on('message', (data, isBinary) => this.#guard(() => this.#onMessage(data, isBinary)))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(this.#deadline)
      clearInterval(ping)
      this.#state = 'ended'
      this.#gone.abort()
    })
  }

  #ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  #fail(thrown: unknown): void {
    this.#end({ kind: 'error', error: ForgeError.from(thrown).toShape() })
    this.#gone.abort()
  }

  #end(end: ExecEnd): void {
    if (this.#state === 'ended') return
    clearTimeout(this.#deadline)
    // A close that waited behind unsent output would be cut short by ws after 30 s.
    this.#send(channel.control, Buffer.from(JSON.stringify(end)), () => this.#socket.close(1000))
    this.#state = 'ended'
    this.#read(true)
  }

  #send(to: number, data: Buffer, then: () => void = () => this.#onSent()): void {
    if (this.#state === 'ended' || this.#socket.readyState !== this.#socket.OPEN) return
    this.#socket.send(Buffer.concat([Buffer.of(to), data]), { binary: true }, then)
    if (this.#socket.bufferedAmount > high)
      for (const { stream } of this.#running?.outputs ?? []) stream.pause()
  }

  #onSent(): void {
    if (this.#socket.bufferedAmount > low) return
    for (const { stream } of this.#running?.outputs ?? []) if (stream.isPaused()) stream.resume()
  }

  /** Turns reading from the client on or off. */
  #read(on: boolean): void {
    if (this.#reading === on) return
    this.#reading = on
    if (on) this.#socket.resume()
    else this.#socket.pause()
  }

  #onMessage(raw: RawData, isBinary: boolean): void {
    if (this.#state === 'ended') return
    const data = Buffer.isBuffer(raw) ? raw : Array.isArray(raw) ? Buffer.concat(raw) : Buffer.from(raw)
    if (!isBinary || data.length === 0) throw malformed('a message without a channel')
    if (this.#state === 'running') this.#handle(data)
    else if (this.#state === 'starting') this.#waiting.push(data)
    else this.#onFirst(data)
  }

  #onFirst(data: Buffer): void {
    const first = data[0] === channel.control ? parseControl(data.subarray(1), largestStart) : null
    if (first?.kind !== 'start') throw malformed('the first message must be start')
    clearTimeout(this.#deadline)
    this.#state = 'starting'
    // What has arrived already still comes, a chunk of the socket at most.
    this.#read(false)
    this.#start(first).catch((thrown: unknown) => this.#fail(thrown))
  }

  async #start(start: Start): Promise<void> {
    const wire = await this.#openWire()
    if (this.#gone.signal.aborted) return
    const running = await startCommand(wire, start, this.#gone.signal)
    if (this.#state === 'ended') return
    this.#running = running
    this.#state = 'running'
    for (const { stream, channel: to } of running.outputs)
      stream.on('data', (chunk: Buffer) => this.#send(to, chunk))
    running.stdin.on('drain', () => this.#read(true))
    this.#read(true)
    for (const data of this.#waiting.splice(0)) this.#guard(() => this.#handle(data))
    const outputs = Promise.all(running.outputs.map(({ stream }) => ended(stream)))
    const { code, signal, timedOut } = await running.exit
    await outputs
    this.#end({ kind: 'exit', code, signal, timedOut })
  }

  #handle(data: Buffer): void {
    const running = this.#running
    if (running === null || this.#state === 'ended') return
    const rest = data.subarray(1)
    if (data[0] === channel.stdin) {
      if (rest.length === 0) running.stdin.end()
      else if (running.stdin.writable && !running.stdin.write(rest)) this.#read(false)
      return
    }
    if (data[0] !== channel.control) throw malformed('clients send on channels 0 and 3 only')
    const control = parseControl(rest, largestControl)
    if (control.kind === 'start') throw malformed('start came twice')
    if (control.kind === 'resize') running.resize(control.columns, control.rows)
    else running.signal(control.signal)
  }
}

/**
 * Speaks core/sandbox/exec-frames.ts on a WebSocket until the command has ended, the client is gone (which
 * ends the command) or a message is not valid. Takes the socket over and never throws.
 */
export function serveExec(
  socket: WebSocket,
  openWire: () => Promise<Wire>,
  options: Partial<ServeExecOptions> = {},
): void {
  new ExecSocket(socket, openWire).serve({ ...defaults, ...options })
}
