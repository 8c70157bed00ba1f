import { spawn, spawnSync } from 'node:child_process'
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { startEmbedded } from '../embedded.ts'

interface GivenServer {
  /** Which PostgreSQL it is, and why it is not the system's where there is none. */
  readonly label: string
  /** A DATABASE_URL for a new, empty database. */
  readonly createDatabase: () => Promise<string>
  readonly stop: () => Promise<void>
}

/** The newest PostgreSQL that the system has installed, as Debian lays it out. */
async function systemBinaries(): Promise<string | null> {
  const root = '/usr/lib/postgresql'
  const versions = await readdir(root).catch(() => [])
  const [newest] = versions.toSorted((a, b) => Number(b) - Number(a))
  return newest === undefined ? null : path.join(root, newest, 'bin')
}

const idOf = (flag: '-u' | '-g'): number =>
  Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)

async function startSystem(bin: string): Promise<GivenServer> {
  const dir = await mkdtemp(path.join(tmpdir(), 'forge-given-'))
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  if (user.uid !== undefined) await chown(dir, user.uid, user.gid)
  const data = path.join(dir, 'data')
  const init = spawnSync(
    path.join(bin, 'initdb'),
    ['-D', data, '-U', 'forge', '--auth=trust', '-N', '-E', 'UTF8'],
    {
      ...user,
      cwd: '/',
      encoding: 'utf8',
    },
  )
  if (init.status !== 0) throw new Error(`initdb: ${init.stderr}`)
  const settings = ['listen_addresses=', `unix_socket_directories=${dir}`, 'fsync=off']
  const child = spawn(path.join(bin, 'postgres'), ['-D', data, ...settings.flatMap((set) => ['-c', set])], {
    ...user,
    cwd: '/',
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  return {
    label: `PostgreSQL of the system (${bin})`,
    createDatabase: databases(dir),
    async stop() {
      child.kill('SIGQUIT')
      await ended
      await rm(dir, { recursive: true })
    },
  }
}

function databases(socketDir: string): () => Promise<string> {
  let made = 0
  return async () => {
    made += 1
    const name = `suite_${made}`
    const sql = postgres({ path: `${socketDir}/.s.PGSQL.5432`, user: 'forge', database: 'postgres', max: 1 })
    for (let attempt = 0; ; attempt += 1) {
      try {
        await sql`CREATE DATABASE ${sql(name)}`
        break
      } catch (error) {
        if (attempt === 300) throw error
        await sleep(50)
      }
    }
    await sql.end()
    return `postgres://forge@/${name}?host=${encodeURIComponent(socketDir)}`
  }
}

async function startSecondEmbedded(reason: string): Promise<GivenServer> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'forge-given-'))
  const embedded = await startEmbedded({ dataDir })
  // Also for the processes that tests start.
  const socketDir = path.dirname(embedded.connection.path).replace('/proc/self/', `/proc/${process.pid}/`)
  return {
    label: `the embedded binaries by DATABASE_URL, because ${reason}`,
    createDatabase: databases(socketDir),
    async stop() {
      await embedded.stop()
      await rm(dataDir, { recursive: true })
    },
  }
}

/** A PostgreSQL server that Forge did not start as its own, on a socket of its own. */
export async function startGiven(): Promise<GivenServer> {
  const bin = await systemBinaries()
  return bin === null ? startSecondEmbedded('the system has no PostgreSQL installed') : startSystem(bin)
}
