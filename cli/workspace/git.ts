import { spawn } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import {
  type GitSetting,
  gitFailure,
  neutralArgs,
  neutralEnv,
  settingArgs,
} from '#core/workspace/neutral-git.ts'

/** Where git runs and what it sees. */
export interface GitPlace {
  /** The PATH to find git on. */
  readonly path: string
  readonly gitDir?: string
  readonly workTree?: string
  readonly settings?: readonly GitSetting[]
  /** On top of the neutral environment. */
  readonly env?: Record<string, string | undefined>
}

export interface GitOptions {
  readonly input?: Readable | Buffer | string
  /** Bytes of standard output, default 1 MiB; more of it ends the command with `too_large`. */
  readonly maxOutput?: number
  readonly signal?: AbortSignal | undefined
}

interface GitProcess {
  readonly stdout: Readable
  /** Rejects with `repository_invalid` (its `data` has `exitCode` and `stderr`), `interrupted`. */
  readonly done: Promise<void>
}

const keptStderr = 16_384

/** A relative folder in PATH would be looked up in somebody's repository. */
const absoluteOnly = (path: string): string =>
  path
    .split(':')
    .filter((each) => each.startsWith('/'))
    .join(':')

/**
 * Starts git with neutral configuration and an environment of its own, in the work tree where there is one
 * and in a process group that ends as one.
 */
function startGit(place: GitPlace, args: readonly string[], options: GitOptions = {}): GitProcess {
  const child = spawn('git', [...neutralArgs, ...settingArgs(place.settings ?? []), ...args], {
    cwd: place.workTree ?? '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...neutralEnv({ path: absoluteOnly(place.path) }),
      ...(place.gitDir === undefined ? {} : { GIT_DIR: place.gitDir }),
      ...(place.workTree === undefined ? {} : { GIT_WORK_TREE: place.workTree }),
      ...place.env,
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

/** Runs git to its end and gives back its standard output. Errors as `GitProcess.done`, and `too_large`. */
export async function git(
  place: GitPlace,
  args: readonly string[],
  options: GitOptions = {},
): Promise<Buffer> {
  const running = startGit(place, args, options)
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
export const gitText = async (
  place: GitPlace,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> => (await git(place, args, options)).toString('utf8').replace(/\n$/, '')
