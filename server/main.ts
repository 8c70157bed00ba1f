/** The server's process: the only reader of its environment. Runs in the foreground until SIGTERM or SIGINT. */
import { readFileSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { pathsFrom } from '#core/config/paths.ts'
import { ForgeError } from '#core/errors.ts'
import { type Server, startServer } from './compose.ts'
import { toolsDir } from './lifecycle/places.ts'
import { lockDataDir } from './store/lock.ts'

/** The package's folder: this file is bundled into `dist/`. */
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

/** How long an orderly stop may take, in milliseconds; what is cut off is taken up by the next start. */
const stopLimit = 20_000

/** How often the server looks whether its data directory is still there, in milliseconds. */
const lockCheckEvery = 5000

function fail(thrown: unknown): never {
  const error = ForgeError.from(thrown)
  process.stderr.write(`forge: ${error.message}\n`)
  if (error.hint) process.stderr.write(`${error.hint}\n`)
  if (error.code === 'internal') process.stderr.write(`${error.stack}\n`)
  process.exit(error.row.exit)
}

/** A container may run under a uid that has no name. */
function userName(uid: number): string {
  try {
    return userInfo().username
  } catch {
    return `uid-${uid}`
  }
}

async function main(): Promise<void> {
  process.umask(0o077)
  const uid = process.geteuid?.() ?? -1
  const home = homedir()
  const paths = pathsFrom({ env: process.env, uid, home, cwd: process.cwd() })
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string }
  const log = pino({ level: process.env.FORGE_LOG ?? 'info', base: { pid: process.pid } })
  const lock = await lockDataDir(paths.data)
  let starting: Promise<Server> | undefined
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    setTimeout(() => process.exit(1), stopLimit).unref()
    // One that is still starting is waited for: it would leave its database behind.
    void Promise.resolve(starting)
      .then((server) => server?.close())
      .catch((error: unknown) => log.error({ err: error }, 'the server did not stop cleanly'))
      .then(() => lock.release())
      .then(() => process.exit(0))
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
  process.on('unhandledRejection', (error) =>
    log.error({ err: error }, 'a promise failed that nobody waits for'),
  )
  setInterval(async () => {
    if (stopping || (await lock.holds())) return
    log.error({ home: paths.data }, 'the data directory was taken away, stopping')
    stop()
  }, lockCheckEvery).unref()
  starting = startServer({
    paths,
    tools: toolsDir(process.env, { uid, home }),
    migrations: path.join(root, 'migrations'),
    env: process.env,
    uid,
    user: userName(uid),
    node: process.execPath,
    facts: {
      pid: process.pid,
      version,
      home: paths.data,
      socket: paths.socket,
      startedAt: new Date().toISOString(),
    },
    log,
    stop,
  })
  await starting
  log.info({ socket: paths.socket }, 'ready')
}

main().catch(fail)
