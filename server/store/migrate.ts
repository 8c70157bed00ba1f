import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { ForgeError } from '#core/errors.ts'

interface Migration {
  readonly number: number
  /** The file's name. */
  readonly name: string
  readonly text: string
  /** Hex SHA-256 of the text. */
  readonly checksum: string
}

/** One server at a time migrates one database; the number only has to differ from other advisory locks. */
const migrationLock = '439956234085634'

/** The numbered files of `dir`, in order. Throws `internal` when numbers are missing or doubled. */
export async function readMigrations(dir: string): Promise<Migration[]> {
  const names = (await readdir(dir)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort()
  const migrations = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(path.join(dir, name), 'utf8')
      const checksum = createHash('sha256').update(text).digest('hex')
      return { number: Number(name.slice(0, 4)), name, text, checksum }
    }),
  )
  for (const [index, migration] of migrations.entries())
    if (migration.number !== index + 1)
      throw new ForgeError('internal', `migrations: ${migration.name} is not number ${index + 1}`)
  if (migrations.length === 0) throw new ForgeError('internal', `there are no migrations in ${dir}`)
  return migrations
}

function assertHistory(applied: { number: number; checksum: string }[], migrations: Migration[]): void {
  for (const { number, checksum } of applied) {
    const known = migrations[number - 1]
    if (known === undefined)
      throw new ForgeError('config_invalid', `the database is newer (${number}) than this Forge`, {
        hint: 'use the Forge that last ran on it, or a newer one',
        data: { found: number, known: migrations.length },
      })
    if (known.checksum !== checksum)
      throw new ForgeError('config_invalid', `the migration ${known.name} was changed after it was applied`, {
        hint: 'restore the file; changes go into a new migration',
      })
  }
}

/**
 * Applies what is missing, each in the one transaction, so a failed upgrade leaves the database as it was.
 * Throws `config_invalid` when the database is newer, or an applied migration was changed since.
 * @returns the names that were applied now.
 */
export async function migrate(sql: Sql, dir: string): Promise<string[]> {
  const migrations = await readMigrations(dir)
  return sql.begin(async (tx) => {
    await tx`SET LOCAL client_min_messages = warning`
    await tx`SELECT pg_advisory_xact_lock(${migrationLock}::bigint)`
    await tx`CREATE TABLE IF NOT EXISTS schema_migrations (
      number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
      applied_at timestamptz(3) NOT NULL DEFAULT now())`
    const applied = await tx<{ number: number; checksum: string }[]>`
      SELECT number, checksum FROM schema_migrations ORDER BY number`
    assertHistory(applied, migrations)
    const missing = migrations.slice(applied.length)
    for (const { number, name, text, checksum } of missing) {
      await tx.unsafe(text)
      await tx`INSERT INTO schema_migrations (number, name, checksum) VALUES (${number}, ${name}, ${checksum})`
    }
    return missing.map((migration) => migration.name)
  })
}
