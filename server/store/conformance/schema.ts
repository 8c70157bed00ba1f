import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { dumpSchema } from '../dump-schema.ts'
import { migrate, readMigrations } from '../migrate.ts'
import { events } from '../schema/events.ts'
import { runs } from '../schema/runs.ts'
import { sandboxes } from '../schema/sandboxes.ts'
import type { Subject } from './fixtures.ts'

const migrations = path.resolve('migrations')
const tables: PgTable[] = [events, runs, sandboxes]

/** One line per column, as `dumpSchema` writes it, without defaults. */
const columnLines = (table: PgTable) =>
  getTableConfig(table)
    .columns.map((column) => `${column.name} ${column.getSQLType()}${column.notNull ? ' NOT NULL' : ''}`)
    .sort()

function dumpedColumns(dump: string, table: string): string[] {
  const body = new RegExp(`CREATE TABLE ${table} \\(\\n(.*?)\\n\\)`, 's').exec(dump)?.[1] ?? ''
  const lines = body.split(',\n').map((line) => line.trim().replace(/ DEFAULT .*/, ''))
  return lines.filter((line) => !line.startsWith('CONSTRAINT')).sort()
}

const copyOfMigrations = async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'forge-migrations-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await cp(migrations, dir, { recursive: true })
  return dir
}

/** That the migrations, their dump and the drizzle schema say the same, and that history is kept. */
export function describeSchema(subject: () => Subject): void {
  describe('schema', () => {
    it('is what migrations/schema.sql says (node scripts/database-schema.ts writes it)', async () => {
      expect(await dumpSchema(subject().store.sql)).toBe(
        await readFile(path.join(migrations, 'schema.sql'), 'utf8'),
      )
    })

    it('is what drizzle believes', async () => {
      const dump = await dumpSchema(subject().store.sql)
      for (const table of tables) {
        const { name } = getTableConfig(table)
        expect(columnLines(table), name).toEqual(dumpedColumns(dump, name))
      }
      expect([...dump.matchAll(/CREATE TABLE (\w+)/g)].map(([, name]) => name)).toEqual(
        [...tables.map((table) => getTableConfig(table).name), 'schema_migrations'].sort(),
      )
    })

    it('applies each migration once, also when many begin together', async () => {
      const applied = await Promise.all([1, 2, 3].map(() => migrate(subject().store.sql, migrations)))
      expect(applied.flat()).toEqual([])
    })

    it('refuses a changed migration and a newer database, and leaves all as it was when one fails', async () => {
      const { sql } = subject().store
      const before = await dumpSchema(sql)
      const changed = await copyOfMigrations()
      await writeFile(path.join(changed, '0001_begin.sql'), 'SELECT 1')
      await expect(migrate(sql, changed)).rejects.toMatchObject({ code: 'config_invalid' })

      const next = (await readMigrations(migrations)).length + 1
      const failing = await copyOfMigrations()
      const name = `${String(next).padStart(4, '0')}_next.sql`
      await writeFile(path.join(failing, name), 'CREATE TABLE half (id int); SELECT 1/0;')
      await expect(migrate(sql, failing)).rejects.toThrow('division by zero')
      expect(await dumpSchema(sql)).toBe(before)

      await sql`INSERT INTO schema_migrations (number, name, checksum) VALUES (${next}, ${name}, '')`
      await expect(migrate(sql, migrations)).rejects.toMatchObject({
        code: 'config_invalid',
        data: { found: next },
      })
      await sql`DELETE FROM schema_migrations WHERE number = ${next}`
    })

    it('has never changed a migration that was released', async () => {
      const checksums = Object.fromEntries(
        (await readMigrations(migrations)).map(({ name, checksum }) => [name, checksum]),
      )
      expect(checksums).toEqual(released)
    })
  })
}

/** Grows by one line with each migration; a line never changes. */
const released = { '0001_begin.sql': '4b2e2748ded026bf4569a88408d13b7a8d976e344c3c389e46aa6ccbc913738c' }
