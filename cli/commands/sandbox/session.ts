import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import { StringDecoder } from 'node:string_decoder'
import type { SandboxId } from '#core/id.ts'
import type { ExecControl } from '#core/sandbox/exec-frames.ts'
import { type ExecClient, type ExecExit, openExec } from '../../client/exec.ts'
import type { Http } from '../../client/http.ts'
import type { Context } from '../../context.ts'
import { safe } from '../../output/safe.ts'

interface SessionRequest {
  readonly sandbox: SandboxId
  readonly start: Omit<Extract<ExecControl, { kind: 'start' }>, 'kind' | 'terminal'>
}

/** 128 + the signal's number, as a shell says it; 124 for a command that ran into its time limit. */
function exitCodeOf(exit: ExecExit): number {
  if (exit.timedOut) return 124
  if (exit.code !== null) return exit.code
  const number = constants.signals[`SIG${exit.signal}` as NodeJS.Signals]
  return 128 + (number ?? constants.signals.SIGKILL)
}

/** A command with this process's standard streams. Gives its exit code. */
export async function runCommand(context: Context, http: Http, request: SessionRequest): Promise<number> {
  const { host } = context
  const client = await openExec(http.socket, request, {
    stdout: plainOutput(host.stdout, host.tty.stdout),
    stderr: plainOutput(host.stderr, host.tty.stderr),
  })
  let interrupted = false
  const restore = [
    host.onSignal('SIGINT', () => {
      if (interrupted) host.exit(130)
      interrupted = true
      client.signal('INT')
    }),
    host.onSignal('SIGTERM', () => client.signal('TERM')),
    host.onSignal('SIGHUP', () => client.signal('HUP')),
  ]
  pumpStdin(context, client, { end: true })
  try {
    return exitCodeOf(await client.exit)
  } finally {
    client.close()
    for (const undo of restore) undo()
  }
}

const keptBytes = 8 * 1024 * 1024

/** A command without input, whose output and end are one JSON document. Gives its exit code. */
export async function collectCommand(context: Context, http: Http, request: SessionRequest): Promise<number> {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const room = { stdout: keptBytes, stderr: keptBytes }
  let truncated = false
  const keep = (name: 'stdout' | 'stderr') => async (bytes: Buffer) => {
    if (bytes.length > room[name]) truncated = true
    const part = bytes.subarray(0, room[name])
    room[name] -= part.length
    kept[name].push(part)
  }
  const client = await openExec(http.socket, request, { stdout: keep('stdout'), stderr: keep('stderr') })
  client.endStdin()
  const exit = await client.exit
  client.close()
  await context.printJson({
    sandbox: request.sandbox,
    exitCode: exitCodeOf(exit),
    signal: exit.signal,
    timedOut: exit.timedOut,
    stdout: Buffer.concat(kept.stdout).toString('utf8'),
    stderr: Buffer.concat(kept.stderr).toString('utf8'),
    truncated,
  })
  return exitCodeOf(exit)
}

/** Bytes go through untouched to a file or a pipe, and as safe text to a terminal. */
function plainOutput(sink: { write(text: string | Uint8Array): Promise<void> }, terminal: boolean) {
  if (!terminal) return (bytes: Buffer) => sink.write(bytes)
  const decoder = new StringDecoder('utf8')
  return (bytes: Buffer) => sink.write(safe(decoder.write(bytes)))
}

/** Modes that a program may have left on when its connection broke: mouse, paste, application keys, a hidden cursor, the alternate screen. */
const resetModes = ['?1000l', '?1002l', '?1003l', '?1006l', '?1004l', '?2004l', '?1l', '?25h', '?1049l']
  .map((mode) => `${String.fromCharCode(27)}[${mode}`)
  .join('')

/**
 * A terminal in the sandbox on this process's terminal, byte for byte: like ssh, it trusts the program at the
 * other end with the terminal's features. Gives the exit code.
 */
export async function runTerminal(context: Context, http: Http, request: SessionRequest): Promise<number> {
  const { host } = context
  const show = (bytes: Buffer) => host.stdout.write(bytes)
  const term = host.env.TERM ? { term: host.env.TERM } : {}
  const start = { ...request.start, terminal: { ...host.size(), ...term } }
  const client = await openExec(
    http.socket,
    { sandbox: request.sandbox, start },
    { stdout: show, stderr: show },
  )
  const cooked = () => {
    if (host.stdin.isRaw) host.stdin.setRawMode(false)
  }
  const leave = (code: number) => () => {
    cooked()
    client.close()
    host.exit(code)
  }
  const restore = [
    host.onExit(cooked),
    host.onSignal('SIGTERM', leave(143)),
    host.onSignal('SIGHUP', leave(129)),
    host.onResize((size) => client.resize(size)),
  ]
  host.stdin.setRawMode(true)
  // Node's raw mode still turns LF into CR LF, which full-screen programs must not get; leaving it undoes this, too.
  spawnSync('stty', ['-opost'], { stdio: [0, 'ignore', 'ignore'] })
  pumpStdin(context, client, { end: false })
  try {
    return exitCodeOf(await client.exit)
  } catch (error) {
    await host.stdout.write(resetModes).catch(() => {})
    throw error
  } finally {
    cooked()
    client.close()
    for (const undo of restore) undo()
  }
}

function pumpStdin({ host }: Context, client: ExecClient, options: { end: boolean }): void {
  const pump = async () => {
    for await (const chunk of host.stdin) await client.stdin(chunk as Buffer)
    if (options.end) client.endStdin()
  }
  // A stdin that can't be read is one that has ended.
  pump().catch(() => client.endStdin())
}
