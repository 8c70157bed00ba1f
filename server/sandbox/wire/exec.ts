import { randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import type { ClientChannel, PseudoTtyOptions } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import { type ChannelOutputs, channelInput, channelOutputs } from './channel.ts'
import { commandLine } from './command-line.ts'
import { Ending } from './ending.ts'
import { markName, type Signal, sweep } from './kill.ts'
import type { Session } from './session.ts'
import type { ExecProcess, ExecRequest, WireFiles } from './wire.ts'

/** Beyond it `setTimeout` fires at once. */
const longestTimer = 2 ** 31 - 1

/** What a command's channel gives besides the process: terminals need its parts. */
interface Started {
  readonly channel: ClientChannel
  readonly outputs: ChannelOutputs
  readonly stdin: Writable
  readonly process: ExecProcess
  hangUp(): void
}

export interface ExecContext {
  readonly session: Session
  readonly files: WireFiles
}

export async function start(
  { session, files }: ExecContext,
  request: ExecRequest,
  pty?: PseudoTtyOptions,
): Promise<Started> {
  if (session.lost !== null) throw session.lost
  if (request.signal?.aborted) throw new ForgeError('interrupted', 'the command was stopped before it began')
  const token = randomBytes(8).toString('hex')
  const { command, env, script } = commandLine(request, token)
  if (script !== null) await files.write(script.path, script.content, 0o600)
  const stoppable = request.timeout !== undefined || request.signal !== undefined
  if (stoppable) env[markName] = token
  const running = session.call<ClientChannel, Started>(
    (done) => session.client.exec(command, pty === undefined ? { env } : { env, pty }, done),
    (channel) =>
      attach(
        { session, request, mark: stoppable ? token : null, first: pty === undefined ? 'TERM' : 'HUP' },
        channel,
      ),
  )
  return running.catch((cause: unknown) => {
    if (cause instanceof ForgeError) throw cause
    throw new ForgeError('task_failed', 'the sandbox could not start another command', {
      hint: 'it may have reached its limit of processes',
      cause,
    })
  })
}

interface Starting {
  readonly session: Session
  readonly request: ExecRequest
  readonly mark: string | null
  /** What asks it to end: an interactive shell ignores TERM. */
  readonly first: Signal
}

function attach({ session, request, mark, first }: Starting, channel: ClientChannel): Started {
  session.track(channel)
  const outputs = channelOutputs(channel)
  const stdin = channelInput(channel)
  let unwatch = (): void => undefined
  const ending = new Ending(channel, outputs, () => {
    unwatch()
    request.signal?.removeEventListener('abort', onAbort)
    stdin.destroy()
  })
  const kill = async (): Promise<void> => {
    const found = mark === null ? false : await sweep(session, mark, first).catch(() => false)
    if (!found) ending.signal(first)
  }
  const onAbort = () => ending.stop('abort', kill)
  unwatch = session.watch((lost) => ending.lose(lost))
  const closed = new Promise<void>((resolve) => channel.on('close', () => resolve()))
  channel.on('exit', (code: number | null, signal?: string) =>
    ending.onExit(code, signal === undefined ? null : signal.replace(/^SIG/, '')),
  )
  void Promise.all([closed, outputs.ended]).then(() => {
    if (session.lost === null) ending.finish()
  })
  request.signal?.addEventListener('abort', onAbort, { once: true })
  if (request.signal?.aborted) onAbort()
  if (request.timeout !== undefined)
    ending.after(Math.min(request.timeout, longestTimer), () => ending.stop('timeout', kill))
  const process: ExecProcess = {
    stdin,
    stdout: outputs.stdout,
    stderr: outputs.stderr,
    exit: ending.exit,
    kill: (signal) => ending.signal(signal),
  }
  return { channel, outputs, stdin, process, hangUp: () => ending.hangUp() }
}
