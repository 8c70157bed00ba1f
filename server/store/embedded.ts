import { open } from 'node:fs/promises'
import { userInfo } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { findBinaries } from './embedded/binaries.ts'
import { type ClusterOptions, database, ensureCluster, type Owner, role } from './embedded/cluster.ts'
import { adopt, type Postmaster, start, stop } from './embedded/postmaster.ts'

/**
 * The user of the database's processes when the server is root, which PostgreSQL refuses to be. No
 * account has this number: Debian reserves 30000 to 59999 and hands none of them out, so no other
 * program shares it. A cluster that exists keeps the user that owns it.
 */
export const ownUid = 59_432

/** Where a copy of the binaries goes when root's data directory is closed to others; it holds nothing private. */
const sharedRuntime = '/var/cache/forge'

interface Embedded {
  /** What the driver connects with. */
  readonly connection: { path: string; user: string; database: string }
  /** Of the process that runs now. */
  pid(): number
  /** Whether the process was found running. */
  readonly adopted: boolean
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** Everything of the database lives in `postgres` below it. The caller holds the directory's lock. */
  readonly dataDir: string
  readonly onProgress?: (message: string) => void
}

/** Starts again what ended without being asked to, with growing pauses, until `stop`. */
class Supervisor {
  #postmaster: Postmaster
  #stopping = false
  readonly #again: () => Promise<Postmaster>
  readonly #onProgress: (message: string) => void

  constructor(first: Postmaster, again: () => Promise<Postmaster>, onProgress: (message: string) => void) {
    this.#postmaster = first
    this.#again = again
    this.#onProgress = onProgress
    void this.#watch()
  }

  get current(): Postmaster {
    return this.#postmaster
  }

  async #watch(): Promise<void> {
    for (let pause = 10; ; ) {
      const since = performance.now()
      await this.#postmaster.ended
      if (this.#stopping) return
      this.#onProgress('PostgreSQL ended by itself, starting it again')
      pause = performance.now() - since > 60_000 ? 10 : Math.min(pause * 2, 10_000)
      await sleep(pause, undefined, { ref: false })
      if (this.#stopping) return
      this.#restarting = this.#restart()
      await this.#restarting
    }
  }

  #restarting: Promise<void> | null = null

  async #restart(): Promise<void> {
    try {
      this.#postmaster = await this.#again()
    } catch (error) {
      this.#onProgress(error instanceof Error ? error.message : String(error))
    }
  }

  /** Resolves with the process to stop, once none is being started. */
  async retire(): Promise<Postmaster> {
    this.#stopping = true
    await this.#restarting
    return this.#postmaster
  }
}

/** PostgreSQL, which knows its clients by their names, and initdb do without none. */
function userName(): string {
  try {
    return userInfo().username
  } catch (cause) {
    throw new ForgeError('config_invalid', `uid ${process.getuid?.()} has no name, which PostgreSQL needs`, {
      hint: 'give it one in /etc/passwd, or give a database with DATABASE_URL',
      cause,
    })
  }
}

/**
 * Brings up the embedded PostgreSQL: makes the cluster on the first call, adopts a process that
 * outlived an earlier server, starts one otherwise, and keeps it up.
 * Throws `config_invalid`, `store_unavailable`.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const onProgress = options.onProgress ?? (() => undefined)
  const base = path.join(path.resolve(options.dataDir), 'postgres')
  const asRoot = process.getuid?.() === 0
  const owner: Owner | null = asRoot ? { uid: ownUid, gid: ownUid } : null
  const copyTo = [path.join(base, 'runtime'), ...(asRoot ? [sharedRuntime] : [])]
  const binaries = await findBinaries({ others: asRoot, copyTo })
  const clusterOptions: ClusterOptions = { owner, clientUser: userName(), onProgress }
  const cluster = await ensureCluster(base, binaries, clusterOptions)
  const bringUp = async () => {
    const found = await adopt(cluster)
    if (found !== null && !cluster.changed) return found
    if (found !== null) await stop(found, cluster)
    onProgress('starting the database')
    return start(cluster, binaries)
  }
  const first = await bringUp()
  const supervisor = new Supervisor(first, bringUp, onProgress)
  const run = await open(cluster.runDir)
  return {
    connection: { path: `/proc/self/fd/${run.fd}/.s.PGSQL.5432`, user: role, database },
    pid: () => supervisor.current.pid,
    adopted: first.adopted,
    async stop() {
      await stop(await supervisor.retire(), cluster)
      await run.close()
    },
  }
}
