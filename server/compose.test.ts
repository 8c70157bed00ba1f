import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { pathsFrom } from '#core/config/paths.ts'
import { startServer } from './compose.ts'

test('a start that fails leaves no database running', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'forge-compose-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  await chmod(home, 0o755)
  const uid = process.geteuid?.() ?? 0
  const paths = pathsFrom({ env: { FORGE_HOME: home }, uid, home, cwd: home })
  // Open to others, so no place for the socket.
  await mkdir(path.dirname(paths.socket), { mode: 0o755 })
  await chmod(path.dirname(paths.socket), 0o755)
  const start = startServer({
    paths,
    tools: path.join(home, 'tools'),
    migrations: path.resolve('migrations'),
    env: {},
    uid,
    user: 'test',
    node: process.execPath,
    facts: { pid: process.pid, version: '0', home: paths.data, socket: paths.socket, startedAt: '' },
    log: pino({ level: 'silent' }),
    stop: () => undefined,
  })
  await expect(start).rejects.toMatchObject({ code: 'denied' })
  expect(existsSync(path.join(paths.data, 'postgres/cluster/PG_VERSION'))).toBe(true)
  expect(existsSync(path.join(paths.data, 'postgres/cluster/postmaster.pid'))).toBe(false)
})
