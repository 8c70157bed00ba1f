import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RunId } from '#core/id.ts'
import { postgresLedger } from '../ledger/postgres-ledger.ts'
import { runStore } from '../run/run-store.ts'
import {
  clock,
  collect,
  finished,
  forever,
  newRun,
  random,
  said,
  seqs,
  upTo,
} from './conformance/fixtures.ts'
import { openToAll } from './embedded/binaries.ts'
import { ownUid } from './embedded.ts'
import { openStore } from './open.ts'
import type { Store } from './store.ts'

const migrations = path.resolve('migrations')
const isRoot = process.getuid?.() === 0
const nobody = 65534

/** Logs in to PostgreSQL by hand, with nothing but Node, and prints what came of it. */
const client = `
  const socket = require('node:net').connect(process.argv[1])
  const text = Buffer.from('\\0\\x03\\0\\0user\\0forge\\0database\\0postgres\\0\\0', 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(text.length + 4)
  socket.on('error', (error) => console.log(error.code))
  socket.on('connect', () => socket.write(Buffer.concat([length, text])))
  socket.on('data', (data) => { console.log(data.toString('latin1')); socket.destroy() })`

describe('the embedded PostgreSQL', { timeout: 60_000 }, () => {
  let dataDir: string
  let open: Store[]
  beforeEach(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'forge-embedded-'))
    open = []
  })
  afterEach(async () => {
    for (const store of open) await store.close()
    await rm(dataDir, { recursive: true })
  })

  const openHere = async () => {
    const store = await openStore({ kind: 'embedded', dataDir, migrations })
    open.push(store)
    return store
  }
  const cluster = () => path.join(dataDir, 'postgres/cluster')
  const pidFile = () => readFile(path.join(cluster(), 'postmaster.pid'), 'utf8')
  const pidNow = async () => Number.parseInt(await pidFile(), 10)
  /** False for a process that is dead, also where nobody has reaped it. */
  const works = (pid: number) =>
    readlink(`/proc/${pid}/cwd`).then(
      (dir) => dir === cluster(),
      () => false,
    )
  const runs = (store: Store) => runStore(store, { random, clock })

  it('is durable, listens on no network, and runs as nobody else does', async () => {
    const store = await openHere()
    expect(store).toMatchObject({ kind: 'embedded', version: expect.stringMatching(/^18\./) })
    const [row] = await store.sql`
      SELECT current_setting('listen_addresses') AS listen, current_setting('fsync') AS fsync,
        current_setting('synchronous_commit') AS commit, current_setting('full_page_writes') AS pages,
        current_setting('server_encoding') AS encoding, current_setting('data_checksums') AS checksums`
    expect(row).toEqual({
      listen: '',
      fsync: 'on',
      commit: 'on',
      pages: 'on',
      encoding: 'UTF8',
      checksums: 'on',
    })
    const { uid, mode } = await stat(cluster())
    expect([uid, mode & 0o777]).toEqual([isRoot ? ownUid : process.getuid?.(), 0o700])
    const status = await readFile(`/proc/${await pidNow()}/status`, 'utf8')
    expect(status).toMatch(new RegExp(`Uid:\\s${uid}\\s${uid}\\s${uid}\\s${uid}\\n`))
    if (isRoot) expect(status).toMatch(/Groups:\s*\n/)
    if (isRoot) expect(status).toMatch(/CapEff:\s0+\n/)
  })

  it('stops with the store, whenever it is asked, and keeps what it has', async () => {
    const first = await openHere()
    const { id } = await runs(first).create(newRun())
    const pid = await pidNow()
    await Promise.all([first.close(), first.close()])
    expect(await works(pid)).toBe(false)
    expect((await runs(await openHere()).get('last')).id).toBe(id)
  })

  it('outlives a killed server, is adopted by the next, and has all that was acknowledged', async () => {
    const owner = spawn(process.execPath, ['server/store/conformance/owner.ts', dataDir, migrations], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: string[] = []
    const reader = createInterface({ input: owner.stdout })
    reader.on('line', (line) => {
      lines.push(line)
      if (lines.length === 200) owner.kill('SIGKILL')
    })
    await once(reader, 'close')
    const pid = await pidNow()
    expect(await works(pid)).toBe(true)
    const store = await openHere()
    expect(await pidNow()).toBe(pid)
    const [run, ...acknowledged] = lines
    const ledger = postgresLedger({ store, clock })
    const stored = seqs(await ledger.read(RunId.parse(run), { after: 0, limit: 10_000 }))
    expect(stored).toEqual(upTo(1, stored.length))
    expect(stored).toEqual(expect.arrayContaining(acknowledged.map(Number)))
    process.kill(pid, 'SIGKILL')
    await ledger.append(RunId.parse(run), [finished])
    const started = await pidNow()
    expect(started).not.toBe(pid)
    await ledger.close()
    await store.close()
    expect(await works(started)).toBe(false)
  })

  it('serves a user who is not root, and root after that', async (context) => {
    if (!isRoot) context.skip('becoming another user needs root')
    if (!(await openToAll(path.dirname(process.execPath)))) context.skip('other users cannot run this Node')
    if (!(await openToAll(path.resolve('server/store'))))
      context.skip('other users cannot read this checkout')
    await chown(dataDir, nobody, nobody)
    const owner = spawn(process.execPath, ['server/store/conformance/owner.ts', dataDir, migrations], {
      stdio: ['ignore', 'pipe', 'inherit'],
      uid: nobody,
      gid: nobody,
    })
    await once(createInterface({ input: owner.stdout }), 'line')
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    const pid = await pidNow()
    expect((await stat(`/proc/${pid}`)).uid).toBe(nobody)
    expect((await runs(await openHere()).get('last')).state).toBe('queued')
    expect(await works(pid)).toBe(false)
    expect((await stat(`/proc/${await pidNow()}`)).uid).toBe(nobody)
  })

  it('says that the disk is full, and goes on when it is not', async (context) => {
    if (!isRoot) context.skip('mounting a small disk needs root')
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'tmpfs', dataDir])
    if (mounted.status !== 0) context.skip('mounting is not allowed here')
    try {
      const store = await openHere()
      const ledger = postgresLedger({ store, clock })
      const { id } = await runs(store).create(newRun())
      const text = randomBytes(400_000).toString('hex')
      const filler = await openFile(path.join(dataDir, 'filler'), 'w')
      const full = async () => {
        for (;;) await filler.write(Buffer.alloc(65_536))
      }
      await expect(full()).rejects.toMatchObject({ code: 'ENOSPC' })
      await filler.close()
      const appendUntilRefused = async () => {
        for (;;) await ledger.append(id, [said(text)])
      }
      await expect(appendUntilRefused()).rejects.toMatchObject({ code: 'disk_full' })
      await rm(path.join(dataDir, 'filler'))
      const [event] = await ledger.append(id, [said('space again')])
      const stored = await ledger.read(id, { after: 0, limit: 1000 })
      expect(seqs(stored)).toEqual(upTo(1, event?.seq ?? 0))
      await ledger.close()
      await store.close()
    } finally {
      spawnSync('umount', ['-l', dataDir])
    }
  })

  it('comes back when its process is killed in mid-append; nothing acknowledged is lost, followers go on', async () => {
    const store = await openHere()
    const ledger = postgresLedger({ store, clock })
    const { id } = await runs(store).create(newRun())
    const reading = collect(ledger.follow(id, 0, forever))
    const acknowledged: number[] = []
    let over = false
    const append = async () => {
      while (!over) acknowledged.push(...seqs(await ledger.append(id, [said('x'.repeat(500))])))
    }
    const appending = Promise.all([append(), append(), append()])
    for (const signal of ['SIGKILL', 'SIGQUIT', 'SIGKILL'] as const) {
      await sleep(200)
      const pid = await pidNow()
      process.kill(pid, signal)
      await expect.poll(pidNow, { timeout: 20_000 }).not.toBe(pid)
    }
    await sleep(200)
    over = true
    await appending
    await ledger.append(id, [finished])
    acknowledged.sort((a, b) => a - b)
    expect(acknowledged).toEqual(upTo(2, acknowledged.length + 1))
    expect(seqs((await reading).events)).toEqual(upTo(1, acknowledged.length + 2))
    await ledger.close()
  })

  it('starts beside a pid file whose pid is now somebody else’s', async () => {
    const first = await openHere()
    const left = await pidFile()
    await first.close()
    const user = isRoot ? { uid: ownUid, gid: ownUid } : {}
    const other = spawn('sleep', ['60'], { stdio: 'ignore', cwd: '/', ...user })
    await writeFile(path.join(cluster(), 'postmaster.pid'), left.replace(/^\d+/, String(other.pid)))
    await openHere()
    expect(other.exitCode).toBeNull()
    other.kill()
  })

  it('makes the cluster again when making it was interrupted', async () => {
    const left = path.join(dataDir, 'postgres/cluster.new-abc')
    await mkdir(left, { recursive: true })
    await writeFile(path.join(left, 'PG_VERSION'), '18\n')
    await openHere()
    expect(await readdir(path.join(dataDir, 'postgres'))).not.toContain('cluster.new-abc')
  })

  it('refuses the data of another major version', async () => {
    await (await openHere()).close()
    await writeFile(path.join(cluster(), 'PG_VERSION'), '17\n')
    await expect(openHere()).rejects.toMatchObject({
      code: 'config_invalid',
      data: { found: 17, expected: 18 },
    })
  })

  it('says what PostgreSQL said when it does not start', async () => {
    await (await openHere()).close()
    await writeFile(path.join(cluster(), 'postgresql.conf'), 'no_such_setting = 1\n')
    await expect(openHere()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('no_such_setting'),
    })
  })

  it('lets no other user connect: not to the folder of the socket, and not past the login', async (context) => {
    if (!isRoot) context.skip('trying as another user needs root')
    if (!(await openToAll(path.dirname(process.execPath)))) context.skip('other users cannot run this Node')
    await openHere()
    const run = path.join(dataDir, 'postgres/run')
    const tryAs = (uid: number) =>
      spawnSync(process.execPath, ['-e', client, `${run}/.s.PGSQL.5432`], {
        uid,
        gid: uid,
        cwd: '/',
        encoding: 'utf8',
      }).stdout
    expect((await stat(run)).mode & 0o777).toBe(0o700)
    expect((await stat(`${run}/.s.PGSQL.5432`)).mode & 0o777).toBe(0o700)
    for (const dir of [dataDir, path.join(dataDir, 'postgres')]) await chmod(dir, 0o755)
    expect(tryAs(nobody)).toBe('EACCES\n')
    await chmod(run, 0o755)
    expect(tryAs(nobody)).toBe('EACCES\n')
    expect(tryAs(ownUid)).toContain('28000')
  })
})
