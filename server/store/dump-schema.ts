import type { Sql } from 'postgres'

interface Table {
  name: string
  options: string | null
}

async function columnsOf(sql: Sql, table: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
      || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
      || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS line
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ${table}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`
  return rows.map(({ line }) => line)
}

/** Not those that PostgreSQL 18 keeps for each NOT NULL and older ones do not. */
async function constraintsOf(sql: Sql, table: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS line
    FROM pg_constraint WHERE conrelid = ${table}::regclass AND contype IN ('p', 'u', 'f', 'c', 'x')
    ORDER BY contype = 'p' DESC, conname COLLATE "C"`
  return rows.map(({ line }) => line)
}

async function indexesOf(sql: Sql, table: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT pg_get_indexdef(i.indexrelid) AS line FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ${table}::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))
    ORDER BY c.relname COLLATE "C"`
  return rows.map(({ line }) => line.replaceAll('public.', ''))
}

/** The tables of the public schema as SQL, the same text on every version of PostgreSQL. Reads the catalogue, since pg_dump does not come with the embedded one. */
export async function dumpSchema(sql: Sql): Promise<string> {
  const tables = await sql<Table[]>`
    SELECT relname AS name, array_to_string(reloptions, ', ') AS options FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C"`
  const parts = [
    '-- The schema that the migrations make. Written by scripts/database-schema.ts; do not edit.\n',
  ]
  for (const { name, options } of tables) {
    const body = [...(await columnsOf(sql, name)), ...(await constraintsOf(sql, name))]
    const tail = options ? ` WITH (${options})` : ''
    parts.push(`CREATE TABLE ${name} (\n  ${body.join(',\n  ')}\n)${tail};\n`)
    const indexes = await indexesOf(sql, name)
    if (indexes.length > 0) parts.push(`${indexes.join(';\n')};\n`)
  }
  return parts.join('\n')
}
