import type { Readable, Writable } from 'node:stream'
import { ForgeError } from '#core/errors.ts'
import { channel, ExecControl } from '#core/sandbox/exec-frames.ts'
import type { ExecExit, TerminalChannel, Wire } from '../sandbox/wire/wire.ts'

/** A command of the longest allowed length as JSON, with its environment. */
export const largestStart = 8 * 1024 * 1024
export const largestControl = 4096
export type Start = Extract<ExecControl, { kind: 'start' }>

/** What a command and a terminal have in common here. */
export interface Running {
  readonly stdin: Writable
  readonly outputs: readonly { readonly stream: Readable; readonly channel: number }[]
  readonly exit: Promise<ExecExit>
  resize(columns: number, rows: number): void
  signal(name: 'TERM' | 'KILL' | 'INT' | 'HUP'): void
}

export const malformed = (message: string): ForgeError => new ForgeError('invalid_input', message)

export function parseControl(data: Buffer, limit: number): ExecControl {
  if (data.length > limit) throw new ForgeError('too_large', `a control message of more than ${limit} bytes`)
  let json: unknown
  try {
    json = JSON.parse(data.toString('utf8'))
  } catch (cause) {
    throw new ForgeError('invalid_input', 'a control message is not JSON', { cause })
  }
  const parsed = ExecControl.safeParse(json)
  if (!parsed.success) throw malformed(`a control message is not valid: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

/** Throws what the wire throws, and `invalid_input` for a request that makes no sense. */
export async function startCommand(wire: Wire, start: Start, signal: AbortSignal): Promise<Running> {
  const { command, cwd, env, timeout, terminal } = start
  if (terminal !== undefined) {
    if (timeout !== undefined) throw malformed('a terminal takes no time limit')
    const opened = await wire.terminal({ command, cwd, env, signal, ...terminal })
    return terminalRunning(opened)
  }
  if (command === undefined) throw malformed('without a terminal a command is needed')
  const process = await wire.exec({ command, cwd, env, timeout, signal })
  return {
    stdin: process.stdin,
    outputs: [
      { stream: process.stdout, channel: channel.stdout },
      { stream: process.stderr, channel: channel.stderr },
    ],
    exit: process.exit,
    resize: () => {
      throw malformed('only a terminal has a size')
    },
    signal: (name) => process.kill(name),
  }
}

function terminalRunning(opened: TerminalChannel): Running {
  const { stream } = opened
  return {
    stdin: stream,
    outputs: [{ stream, channel: channel.stdout }],
    exit: opened.exit,
    resize: opened.resize,
    // What a person at it would do: the key for an interrupt, or hanging up.
    signal: (name) => {
      if (name === 'INT') stream.write('\x03')
      else stream.destroy()
    },
  }
}
