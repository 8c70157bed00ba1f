import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describeStore } from './conformance/suite.ts'
import { openStore } from './open.ts'

const migrations = path.resolve('migrations')

describeStore('embedded', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'forge-store-'))
  const store = await openStore({ kind: 'embedded', dataDir, migrations })
  return {
    store,
    again: () => {
      const url = `postgres://forge@/postgres?host=${encodeURIComponent(path.join(dataDir, 'postgres/run'))}`
      return openStore({ kind: 'given', url, migrations, exclusive: false })
    },
    close: async () => {
      await store.close()
      await rm(dataDir, { recursive: true })
    },
  }
})
