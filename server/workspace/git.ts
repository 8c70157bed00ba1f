import { spawn } from 'node:child_process'
import { PassThrough, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import { gitFailure, neutralArgs, neutralEnv } from '#core/workspace/neutral-git.ts'

export interface GitOptions {
  /** The repository. Absent: a command that needs none. */
  readonly gitDir?: string
  readonly input?: Readable | Buffer | string
  /** Bytes of standard output, default 1 MiB; more of it ends the command with `too_large`. */
  readonly maxOutput?: number
  /** Milliseconds, default 10 minutes; then `timed_out`. */
  readonly timeout?: number
  readonly signal?: AbortSignal
  /** On top of the neutral environment. */
  readonly env?: Record<string, string>
  /** The only protocols it may fetch with; absent: none. */
  readonly protocols?: readonly string[]
}

export interface GitProcess {
  readonly stdout: Readable
  /** Rejects with `repository_invalid` (its `data` has `exitCode` and `stderr`), `timed_out`, `interrupted`. */
  readonly done: Promise<void>
}

/** Fixed, so that nothing in the server's own PATH can stand in for git. */
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const keptStderr = 16_384
const defaultTimeout = 600_000

/** Starts git with neutral configuration and an environment of its own, in a process group that ends as one. */
export function startGit(args: readonly string[], options: GitOptions = {}): GitProcess {
  const child = spawn('git', [...neutralArgs, ...args], {
    cwd: options.gitDir ?? '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...neutralEnv({ path: systemPath, protocols: options.protocols }),
      ...(options.gitDir === undefined ? {} : { GIT_DIR: options.gitDir }),
      ...options.env,
    },
  })
  let stopped: ForgeError | null = null
  const stop = (error: ForgeError): void => {
    stopped ??= error
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended by itself in between.
      }
  }
  const onAbort = () => stop(new ForgeError('interrupted', `git ${args[0]} was stopped`))
  const timeout = options.timeout ?? defaultTimeout
  const onTimeout = () =>
    stop(new ForgeError('timed_out', `git ${args[0]} took more than ${timeout / 1000} s`))
  const timer = setTimeout(onTimeout, timeout)
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-keptStderr)
  })
  // Node throws away what a child has printed when it ends before anyone reads: a stream of ours keeps it.
  const stdout = new PassThrough()
  // A reader that gives up ends the command.
  pipeline(child.stdout, stdout).catch(onAbort)
  const exited = new Promise<void>((resolve, reject) => {
    child.on('error', (cause) =>
      reject(
        new ForgeError('config_invalid', `git cannot be run: ${cause.message}`, {
          cause,
          hint: 'install git',
        }),
      ),
    )
    child.on('close', (code) => {
      if (stopped) reject(stopped)
      else if (code !== 0) reject(gitFailure(args, code, stderr))
      else resolve()
    })
  })
  const fed = feed(options.input, child.stdin).catch((error: unknown) => {
    // A command that stops reading says why by its exit; a source that breaks stops the command.
    if (isBrokenPipe(error)) return
    stop(ForgeError.from(error))
  })
  const done = Promise.all([exited, fed])
    .then(() => undefined)
    .finally(() => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    })
  done.catch(() => undefined)
  return { stdout, done }
}

const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].includes(String(error.code))

async function feed(input: GitOptions['input'], stdin: NodeJS.WritableStream): Promise<void> {
  if (input instanceof Readable) return pipeline(input, stdin)
  stdin.on('error', () => undefined)
  stdin.end(input ?? '')
}

/** Lets at most `maxBytes` through, then breaks with `too_large`. */
export function bounded(maxBytes: number, what: string): Transform {
  let seen = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length
      if (seen <= maxBytes) done(null, chunk)
      else done(new ForgeError('too_large', `${what} is larger than ${maxBytes} bytes`))
    },
  })
}

/** Runs git to its end and gives back its standard output. Errors as `GitProcess.done`, and `too_large`. */
export async function neutralGit(args: readonly string[], options: GitOptions = {}): Promise<Buffer> {
  const running = startGit(args, options)
  const limit = options.maxOutput ?? 1 << 20
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of running.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limit) {
      running.stdout.destroy()
      throw new ForgeError('too_large', `git ${args[0]} gave more than ${limit} bytes`)
    }
    chunks.push(chunk)
  }
  await running.done
  return Buffer.concat(chunks)
}

/** The same as text without the last line break. */
export const gitText = async (args: readonly string[], options: GitOptions = {}): Promise<string> =>
  (await neutralGit(args, options)).toString('utf8').replace(/\n$/, '')
