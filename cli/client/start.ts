import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorTable, ForgeError } from '#core/errors.ts'
import { Http } from './http.ts'
import { isAlive } from './process.ts'

interface StartOptions {
  readonly socket: string
  /** Holds the server's log and the lock that makes two commands start one server. */
  readonly stateDir: string
  /** The server's program, run by `node`. */
  readonly program: string
  readonly node: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: () => number
}

interface Health {
  readonly pid: number
  readonly version: string
}

/** A first start makes a database; more than that is a server that hangs. */
const startLimitMs = 60_000
const pollMs = 20

/** Null when no server answers on the socket. */
export async function health(socket: string): Promise<Health | null> {
  const http = new Http(socket)
  try {
    const text = await http.text({ method: 'GET', path: '/healthz', signal: AbortSignal.timeout(5000) })
    const { pid, version } = JSON.parse(text) as Health
    return { pid, version }
  } catch (error) {
    if (error instanceof ForgeError && error.code === 'denied') throw error
    return null
  } finally {
    http.close()
  }
}

/**
 * Resolves when a server answers, with its pid and whether this call started it. Two calls at once, in whatever
 * processes, start one server. Throws `server_unreachable` with the end of its log when it doesn't come up.
 */
export async function ensureServer(options: StartOptions): Promise<Health & { started: boolean }> {
  const deadline = options.now() + startLimitMs
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 })
  const lock = path.join(options.stateDir, 'start.lock')
  while (options.now() < deadline) {
    const running = await health(options.socket)
    if (running) return { ...running, started: false }
    if (await takeLock(lock)) {
      try {
        return { ...(await startServer(options, deadline)), started: true }
      } finally {
        await rm(lock, { force: true })
      }
    }
    await sleep(pollMs)
  }
  throw new ForgeError('server_unreachable', 'another command started the server, which does not answer', {
    hint: `look into ${path.join(options.stateDir, 'server.log')}`,
  })
}

/** A lock whose holder has died is taken over; the data directory's own lock settles the rare double winner. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx', 0o600)
    await file.writeFile(String(process.pid))
    await file.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
  // A start takes no longer than its limit: past that, the pid is somebody else's by now.
  if (holder > 0 && (!(await isAlive(holder)) || (await ageMs(lock)) > 2 * startLimitMs))
    await rm(lock, { force: true })
  // A holder that died between making the file and writing its pid.
  else if (holder === 0 && (await ageMs(lock)) > 5000) await rm(lock, { force: true })
  return false
}

const ageMs = async (file: string): Promise<number> =>
  Date.now() - (await stat(file).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs

interface Ended {
  readonly code: number | null
  readonly how: string
}

/** The server's own last word where it had one: a line that begins with `forge: `, and hints after it. */
function startFailure(ended: Ended, log: string, logPath: string): ForgeError {
  const code = ended.code === errorTable.config_invalid.exit ? 'config_invalid' : 'server_unreachable'
  const lines = log.split('\n')
  const at = lines.findLastIndex((line) => line.startsWith('forge: '))
  const word = at < 0 ? ended.how : (lines[at] ?? '').slice('forge: '.length)
  const rest =
    at < 0 ? `the end of ${logPath}:\n${log}` : [...lines.slice(at + 1), `its log: ${logPath}`].join('\n')
  return new ForgeError(code, `the server did not start: ${word}`, { hint: rest })
}

async function startServer(options: StartOptions, deadline: number): Promise<Health> {
  if (!existsSync(options.program))
    throw new ForgeError('config_invalid', `the server is not built: ${options.program} is missing`, {
      hint: 'run: npm run build',
    })
  const logPath = path.join(options.stateDir, 'server.log')
  const log = await open(logPath, 'a', 0o600)
  const from = (await log.stat()).size
  const child = spawn(options.node, [options.program], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: options.env,
  })
  const state: { ended?: Ended } = {}
  child.on('error', (error) => {
    state.ended = { code: null, how: error.message }
  })
  child.on('exit', (code, signal) => {
    state.ended = { code, how: signal ?? `exit code ${code}` }
  })
  await log.close()
  while (options.now() < deadline) {
    const running = await health(options.socket)
    if (running) {
      child.unref()
      return running
    }
    if (state.ended !== undefined) throw startFailure(state.ended, await tail(logPath, from), logPath)
    await sleep(pollMs)
  }
  child.unref()
  throw new ForgeError('server_unreachable', `the server was not ready after ${startLimitMs / 1000} s`, {
    hint: `the end of ${logPath}:\n${await tail(logPath, from)}`,
  })
}

/** The last lines that were logged since `from`, at most 4 KiB. */
async function tail(file: string, from: number): Promise<string> {
  const text = (await readFile(file)).subarray(from).subarray(-4096).toString('utf8')
  return text.trim().split('\n').slice(-20).join('\n') || '(empty)'
}
