/** Writes `migrations/schema.sql` from the migrations: `node scripts/database-schema.ts`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { dumpSchema } from '#server/store/dump-schema.ts'
import { openStore } from '#server/store/open.ts'

const migrations = path.resolve(import.meta.dirname, '../migrations')
const dataDir = await mkdtemp(path.join(tmpdir(), 'forge-schema-'))
const store = await openStore({ kind: 'embedded', dataDir, migrations })
try {
  await writeFile(path.join(migrations, 'schema.sql'), await dumpSchema(store.sql))
} finally {
  await store.close()
  await rm(dataDir, { recursive: true })
}
