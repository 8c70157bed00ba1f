import { hostname } from 'node:os'
import type { Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'
import { persistently } from './errors.ts'
import type { Lock } from './lock.ts'
import type { ConnectOptions } from './store.ts'

/** The bytes of "forge" and a number for this use: advisory lock keys are one space for the whole database. */
const key = '439956234085633'

/** How the holder shows in `pg_stat_activity`; PostgreSQL cuts names at 63 bytes. */
const ownName = () => `forge server ${process.pid} on ${hostname()}`

async function takeLock(sql: Sql): Promise<void> {
  const [row] = await sql`SELECT pg_try_advisory_lock(${key}::bigint) AS locked`
  if (row?.locked === true) return
  const [holder] = await sql`
    SELECT application_name AS name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) + objid::bigint = ${key}::bigint`
  const named = /^forge server (\d+) on (.*)$/.exec(String(holder?.name ?? ''))
  const pid = named?.[1] === undefined ? null : Number(named[1])
  const host = named?.[2] ?? null
  throw new ForgeError(
    'server_locked',
    `another Forge server${pid === null ? '' : ` (pid ${pid} on ${host})`} uses this database`,
    { hint: 'stop it first, or give this server a database of its own', data: { pid, host } },
  )
}

/**
 * Keeps every other server off a database, on whatever host, for as long as one connection lives;
 * PostgreSQL gives the lock back when that connection ends, so none is ever stale. A connection that
 * breaks is made again. `onLost` is called when another server was faster then: this one must stop.
 * Throws `server_locked`, whose data has the other's `pid` and `host`.
 */
export async function lockDatabase(options: {
  connect: (options: ConnectOptions) => Sql
  onLost: () => void
}): Promise<Lock> {
  const released = new AbortController()
  let state: 'taking' | 'held' | 'retaking' = 'taking'
  const sql = options.connect({
    name: ownName(),
    max: 1,
    onClose: () => {
      if (state === 'held' && !released.signal.aborted) void retake()
    },
  })
  const retake = async () => {
    state = 'retaking'
    try {
      await persistently(() => takeLock(sql), { patience: Number.POSITIVE_INFINITY, signal: released.signal })
      state = 'held'
    } catch {
      if (!released.signal.aborted) options.onLost()
    }
  }
  const release = () => {
    released.abort()
    return sql.end({ timeout: 2 })
  }
  try {
    await takeLock(sql)
    state = 'held'
    return { release }
  } catch (error) {
    await release()
    throw error
  }
}
