import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { startGiven } from './conformance/given.ts'
import { describeStore } from './conformance/suite.ts'
import { maskUrl, parseDatabaseUrl } from './database-url.ts'
import { openStore } from './open.ts'

const migrations = path.resolve('migrations')
const given = await startGiven()
console.log(`given: ${given.label}`)
afterAll(() => given.stop())

describeStore('given', async () => {
  const url = await given.createDatabase()
  const open = (exclusive: boolean) => openStore({ kind: 'given', url, migrations, exclusive })
  const store = await open(true)
  return { store, again: () => open(false), close: () => store.close() }
})

describe('a given database', () => {
  const open = (url: string, onLockLost = () => undefined) =>
    openStore({ kind: 'given', url, migrations, onLockLost })

  it('lets one server in, names it to the second, and lets the next in after it', async () => {
    const url = await given.createDatabase()
    const first = await open(url)
    await expect(open(url)).rejects.toMatchObject({ code: 'server_locked', data: { pid: process.pid } })
    await first.close()
    await (await open(url)).close()
  })

  it('takes the lock again after its connection broke', async () => {
    const url = await given.createDatabase()
    const store = await open(url, () => expect.fail('the lock was lost'))
    await store.sql`
      SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
      WHERE application_name LIKE 'forge server %' AND datname = current_database()`
    await expect
      .poll(
        () =>
          open(url).then(
            () => 'opened',
            (error) => error.code,
          ),
        { timeout: 10_000 },
      )
      .toBe('server_locked')
    await store.close()
  })

  it('says that the lock is lost when another server was faster', async () => {
    const url = await given.createDatabase()
    let lost = false
    const store = await open(url, () => {
      lost = true
    })
    const keeper = store.connect({ name: 'keeper', max: 1 })
    // Whoever waits for the lock has it the moment it is free.
    const kept = keeper`SELECT pg_advisory_lock(439956234085633)`.execute()
    const waiting = () => store.sql`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
    await expect.poll(async () => (await waiting()).length).toBe(1)
    await store.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name LIKE 'forge server %' AND datname = current_database()`
    await kept
    await expect.poll(() => lost, { timeout: 10_000 }).toBe(true)
    await keeper.end()
    await store.close()
  })

  it.each([
    ['nothing listens', 'postgres://me:hunter2@127.0.0.1:1/x', 'store_unavailable'],
    ['no socket', 'postgres://me:hunter2@/x?host=/nonexistent', 'store_unavailable'],
    ['not PostgreSQL', 'mysql://me:hunter2@127.0.0.1/x', 'config_invalid'],
    ['no URL', 'hunter2', 'config_invalid'],
  ])('%s: a clear error without the password', async (_, url, code) => {
    const error = await open(url).catch((thrown) => thrown)
    expect(error).toMatchObject({ code, hint: expect.any(String) })
    expect(JSON.stringify(error.toShape())).not.toContain('hunter2')
  })

  it('says which database is missing', async () => {
    const url = (await given.createDatabase()).replace(/suite_\d+/, 'nowhere')
    await expect(open(url)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('nowhere'),
    })
  })
})

describe('database URLs', () => {
  it.each([
    ['postgres://u:p@h:1/d?application_name=x', { url: 'postgres://u:p@h:1/d' }],
    [
      'postgresql:///d?host=/run/pg&port=5433',
      { url: 'postgresql://localhost/d', path: '/run/pg/.s.PGSQL.5433' },
    ],
    ['postgres://u@%2Frun%2Fpg/d', { url: 'postgres://u@localhost/d', path: '/run/pg/.s.PGSQL.5432' }],
    ['postgres://u@/d?host=db.example', { url: 'postgres://u@db.example/d' }],
  ])('%s', (text, expected) => {
    expect(parseDatabaseUrl(text)).toEqual(expected)
  })

  it('are shown without secrets', () => {
    expect(maskUrl('postgres://u:p%40ss@h/d?sslpassword=q')).toBe('postgres://u:***@h/d?sslpassword=***')
    expect(maskUrl('p4ss')).not.toContain('p4ss')
  })
})
