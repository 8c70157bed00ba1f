import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openStore } from './open.ts'
import { describeStore } from './suite.ts'

const migrations = path.resolve('migrations')

describeStore('embedded', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'forge-store-'))
  const store = await openStore({ kind: 'embedded', dataDir, migrations })
  return {
    store,
    again: async () => {
      const other = await openStore({ kind: 'embedded', dataDir, migrations })
      return { ...other, close: () => other.sql.end() }
    },
    close: async () => {
      await store.close()
      await rm(dataDir, { recursive: true })
    },
  }
})
