import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import type { Options, Sql } from 'postgres'

export type ConnectOptions = Options<Record<string, never>>

/** An open database with the present schema. `sql` and `db` share one pool. */
export interface Store {
  readonly sql: Sql
  readonly db: PostgresJsDatabase
  readonly kind: 'embedded' | 'given'
  /** Of PostgreSQL, for example `18.4`. */
  readonly version: string
  /** A client of its own to the same database; whoever asks for it ends it. */
  connect(options: { name: string; max: number }): Sql
  /** Ends the connections and, for the embedded one, stops PostgreSQL. Idempotent. */
  close(): Promise<void>
}
