import { chmod, mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { bubblewrapProvider } from '../providers/bubblewrap/provider.ts'
import { testHostTools } from '../wire/real-sshd.ts'
import { describeProvider } from './provider.ts'

let stateDir = ''
beforeAll(async () => {
  stateDir = await mkdtemp(path.join(os.tmpdir(), 'forge-conformance-'))
  await chmod(stateDir, 0o755)
})
afterAll(() => rm(stateDir, { recursive: true, force: true }))

describeProvider({
  name: 'bubblewrap',
  make: async () =>
    bubblewrapProvider({ stateDir, tools: await testHostTools(), serverUid: process.geteuid?.() ?? 0 }),
  kill: async (_id, handle) => {
    process.kill(Number(handle.pid), 'SIGKILL')
  },
})
