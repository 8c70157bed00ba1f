import { hostname } from 'node:os'
import type { Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'
import type { Lock } from './lock.ts'

/** The bytes of "forge" and a number for this use: advisory lock keys are one space for the whole database. */
const key = '439956234085633'

/** How the holder shows in `pg_stat_activity`; PostgreSQL cuts names at 63 bytes. */
export const lockName = () => `forge server ${process.pid} on ${hostname()}`.slice(0, 63)

/**
 * Keeps every other server off this database for as long as `sql`'s one connection lives. `sql` is a
 * client of one connection that never idles out, named `lockName()`.
 * Throws `server_locked`, whose data has the other's `pid` and `host`.
 */
export async function lockDatabase(sql: Sql): Promise<Lock> {
  const [row] = await sql`SELECT pg_try_advisory_lock(${key}::bigint) AS locked`
  if (row?.locked === true) return { release: () => sql.end({ timeout: 5 }) }
  const [holder] = await sql`
    SELECT application_name AS name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
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
