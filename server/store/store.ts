import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'

export interface ConnectOptions {
  /** How it shows in `pg_stat_activity`. */
  readonly name: string
  readonly max: number
  readonly onNotify?: (channel: string, payload: string) => void
  /** A connection has ended, or an attempt to make one. */
  readonly onClose?: () => void
}

/** An open database with the present schema. `sql` and `db` share one pool. */
export interface Store {
  readonly sql: Sql
  readonly db: PostgresJsDatabase
  readonly kind: 'embedded' | 'given'
  /** Of PostgreSQL, for example `18.4`. */
  readonly version: string
  /** A client of its own to the same database; whoever asks for it ends it. */
  connect(options: ConnectOptions): Sql
  /** Ends the connections and, for the embedded one, stops PostgreSQL. Idempotent. */
  close(): Promise<void>
}
