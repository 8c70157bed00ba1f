import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Options, type Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'
import { maskUrl, type ParsedUrl, parseDatabaseUrl } from './database-url.ts'
import { type EmbeddedOptions, startEmbedded } from './embedded.ts'
import { storeError } from './errors.ts'
import type { Lock } from './lock.ts'
import { lockDatabase } from './lock-database.ts'
import { migrate } from './migrate.ts'
import type { Store } from './store.ts'

/** The first that waits for a terminated connection to end, which the ledger needs. */
const oldestVersion = 140_000

type StoreOptions = {
  /** The folder of the numbered SQL files. */
  readonly migrations: string
  /** Connections of the pool; default 8. */
  readonly max?: number
} & (
  | ({ readonly kind: 'embedded' } & EmbeddedOptions)
  | {
      readonly kind: 'given'
      readonly url: string
      /** Default true: refuses, and keeps off, every other server on this database. */
      readonly exclusive?: boolean
      /** The lock's connection broke and another server may have come in: the caller must stop. */
      readonly onLockLost?: () => void
    }
)

/** How long statements that are under way at the end may take, in seconds. The driver always takes it whole when its last attempt to connect failed. */
const endTimeout = 2

/** Makes clients of one database. */
type Connect = (options: Options<Record<string, never>>) => Sql

const connector = (base: ParsedUrl | { path: string; user: string; database: string }): Connect =>
  function connect(options) {
    const all = {
      connect_timeout: 10,
      // Asking for array types runs by itself, and its failure on a broken connection reaches nobody.
      fetch_types: false,
      // Reconnecting at once: whoever may repeat a statement waits between attempts by itself.
      backoff: () => 0,
      onnotice: () => undefined,
      ...options,
      connection: { TimeZone: 'UTC', ...options.connection },
    }
    if (!('url' in base)) return postgres({ ...base, ...all })
    return postgres(base.url, base.path === undefined ? all : { ...all, path: base.path })
  }

async function assertVersion(sql: Sql): Promise<string> {
  const [row] =
    await sql`SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name`
  const name = String(row?.name).split(' ')[0] ?? ''
  if (Number(row?.number) < oldestVersion)
    throw new ForgeError('config_invalid', `the database is PostgreSQL ${name}, and Forge needs 14 or newer`)
  return name
}

function assemble(kind: Store['kind'], parts: { connect: Connect; max: number }): Omit<Store, 'version'> {
  const pool = parts.connect({ max: parts.max, connection: { application_name: `forge ${process.pid}` } })
  return {
    kind,
    sql: pool,
    db: drizzle(pool),
    connect: ({ name, max, onNotify, onClose }) =>
      parts.connect({
        max,
        max_lifetime: null,
        connection: { application_name: name.slice(0, 63) },
        ...(onNotify === undefined ? {} : { onnotify: onNotify }),
        ...(onClose === undefined ? {} : { onclose: onClose }),
      }),
    close: () => pool.end({ timeout: endTimeout }),
  }
}

async function ready(store: Omit<Store, 'version'>, migrations: string): Promise<Store> {
  const version = await assertVersion(store.sql)
  await migrate(store.sql, migrations)
  return { ...store, version }
}

async function openEmbedded(options: StoreOptions & { kind: 'embedded' }): Promise<Store> {
  const embedded = await startEmbedded(options)
  const store = assemble('embedded', { connect: connector(embedded.connection), max: options.max ?? 8 })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= store.close().finally(() => embedded.stop())
    return closing
  }
  try {
    return await ready({ ...store, close }, options.migrations)
  } catch (error) {
    await close()
    throw storeError(error)
  }
}

async function openGiven(options: StoreOptions & { kind: 'given' }): Promise<Store> {
  const store = assemble('given', {
    connect: connector(parseDatabaseUrl(options.url)),
    max: options.max ?? 8,
  })
  let lock: Lock | undefined
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Promise.all([store.close(), lock?.release()]).then(() => undefined)
    return closing
  }
  try {
    const onLost = options.onLockLost ?? (() => undefined)
    if (options.exclusive !== false) lock = await lockDatabase({ connect: store.connect, onLost })
    return await ready({ ...store, close }, options.migrations)
  } catch (error) {
    await close()
    const { code, message, hint, data } = storeError(error)
    throw new ForgeError(code, `${maskUrl(options.url)}: ${message}`, {
      hint: hint ?? 'check DATABASE_URL, and that the database runs',
      ...(data === undefined ? {} : { data }),
      cause: error,
    })
  }
}

/**
 * Opens the database, with its schema brought up to date. The embedded one needs the data directory's
 * lock (`lockDataDir`) first; a given one is locked here.
 * Throws `config_invalid`, `store_unavailable`, `server_locked`, `disk_full`.
 */
export function openStore(options: StoreOptions): Promise<Store> {
  return options.kind === 'embedded' ? openEmbedded(options) : openGiven(options)
}
