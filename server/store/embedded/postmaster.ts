import { spawn } from 'node:child_process'
import { chown, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import type { Binaries } from './binaries.ts'
import type { Cluster } from './cluster.ts'

/** A PostgreSQL server process, started by this process or found running. */
export interface Postmaster {
  readonly pid: number
  readonly adopted: boolean
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>
}

const startTimeout = 60_000
const fastStopTimeout = 20_000
const logLimit = 8 * 1024 * 1024
/** Above every kernel's largest pid (2^22), so no process can ever have it. */
const noPid = 4_194_305

/** PostgreSQL's processes stay in their data directory, so a process there is one of this cluster's: pids are reused, inodes in use are not. */
async function worksIn(pid: number, cluster: Cluster): Promise<boolean> {
  const cwd = await stat(`/proc/${pid}/cwd`).catch(() => null)
  return cwd !== null && cwd.dev === cluster.inode.dev && cwd.ino === cluster.inode.ino
}

async function processesOf(cluster: Cluster): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map((pid) => worksIn(pid, cluster)))
  return pids.filter((_, index) => found[index])
}

/** Lines of `postmaster.pid`: the pid is the first, the state the eighth. */
async function readPidFile(cluster: Cluster): Promise<{ pid: number; ready: boolean; text: string } | null> {
  const text = await readFile(path.join(cluster.dir, 'postmaster.pid'), 'utf8').catch(() => null)
  if (text === null) return null
  const lines = text.split('\n')
  return {
    pid: Math.abs(Number.parseInt(lines[0] ?? '', 10)) || noPid,
    ready: lines[7]?.trim() === 'ready',
    text,
  }
}

/** A process that is not ours to wait for. Dead but not yet reaped counts as ended: it has no directory any more. */
async function endOf(pid: number, cluster: Cluster): Promise<void> {
  while (await worksIn(pid, cluster)) await sleep(200, undefined, { ref: false })
}

async function waitUntilReady(cluster: Cluster, pid: number, ended: Promise<void>): Promise<boolean> {
  let over = false
  void ended.then(() => {
    over = true
  })
  const deadline = Date.now() + startTimeout
  while (!over && Date.now() < deadline) {
    const file = await readPidFile(cluster)
    if (file?.pid === pid && file.ready) return true
    await sleep(5)
  }
  return false
}

/** The postmaster that already works on this cluster, for example after a crash of the Forge server. */
export async function adopt(cluster: Cluster): Promise<Postmaster | null> {
  const file = await readPidFile(cluster)
  if (file === null || !(await worksIn(file.pid, cluster))) return null
  const ended = endOf(file.pid, cluster)
  if (!(await waitUntilReady(cluster, file.pid, ended))) return null
  return { pid: file.pid, adopted: true, ended }
}

/**
 * PostgreSQL refuses to start while a pid file names a living process of the same user, or a dead one
 * that nobody has reaped; and one that names the process about to start, as happens where a container
 * counts its pids anew, would pass for that process's own. When no process works on the cluster, the
 * socket's is removed, and in the data directory's only the pid is replaced: the rest of that file leads
 * PostgreSQL to the old shared memory, which is how it notices processes that are left over.
 */
async function disownPidFiles(cluster: Cluster): Promise<void> {
  await rm(path.join(cluster.runDir, '.s.PGSQL.5432.lock'), { force: true })
  const file = await readPidFile(cluster)
  if (file === null) return
  const place = path.join(cluster.dir, 'postmaster.pid')
  const rest = file.text.indexOf('\n')
  // Cut off by a crash while it was written: PostgreSQL would not start beside it.
  if (rest < 0) return rm(place, { force: true })
  const fresh = `${place}.new`
  await writeFile(fresh, `${noPid}${file.text.slice(rest)}`, { mode: 0o600 })
  if (cluster.owner !== null) await chown(fresh, cluster.owner.uid, cluster.owner.gid)
  await rename(fresh, place)
}

/** Backends that have lost their postmaster end by themselves; one that does not is killed. */
async function waitForLeftovers(cluster: Cluster): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    const left = await processesOf(cluster)
    if (left.length === 0) return
    if (waited >= 5000) for (const pid of left) process.kill(pid, 'SIGKILL')
    await sleep(50)
  }
}

async function logTail(cluster: Cluster, from: number): Promise<string> {
  const text = await readFile(cluster.log)
  return text.subarray(from).toString('utf8').trim().slice(-1500)
}

/**
 * Starts PostgreSQL detached, so that it outlives this process. The data and socket directories are
 * passed as open descriptors: the database's user needs no right to walk the path that leads to them,
 * and the socket's path is never too long.
 */
export async function start(cluster: Cluster, binaries: Binaries): Promise<Postmaster> {
  await waitForLeftovers(cluster)
  await disownPidFiles(cluster)
  const size = await stat(cluster.log).then(
    (found) => found.size,
    () => 0,
  )
  if (size > logLimit) await rename(cluster.log, `${cluster.log}.1`)
  const handles = await Promise.all([open(cluster.log, 'a', 0o600), open(cluster.dir), open(cluster.runDir)])
  const [log, data, run] = handles
  const begin = (await log.stat()).size
  try {
    const args = ['-D', '/proc/self/fd/3', '-c', 'unix_socket_directories=/proc/self/fd/4']
    const child = spawn(path.join(binaries.dir, 'bin/postgres'), args, {
      cwd: '/',
      env: {},
      detached: true,
      stdio: ['ignore', log.fd, log.fd, data.fd, run.fd],
      ...(cluster.owner === null ? {} : { uid: cluster.owner.uid, gid: cluster.owner.gid }),
    })
    child.unref()
    let failure: Error | undefined
    const ended = new Promise<void>((resolve) => {
      child.on('exit', () => resolve())
      child.on('error', (error) => {
        failure = error
        resolve()
      })
    })
    if (child.pid !== undefined && (await waitUntilReady(cluster, child.pid, ended)))
      return { pid: child.pid, adopted: false, ended }
    child.kill('SIGQUIT')
    throw new ForgeError(
      'store_unavailable',
      `PostgreSQL did not start: ${failure?.message ?? ((await logTail(cluster, begin)) || 'it says nothing')}`,
      { hint: `its log is ${cluster.log}`, cause: failure },
    )
  } finally {
    await Promise.all(handles.map((handle) => handle.close()))
  }
}

/** A fast shutdown: open transactions are rolled back and everything is on disk when it resolves. */
export async function stop(postmaster: Postmaster, cluster: Cluster): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!(await worksIn(postmaster.pid, cluster))) return
    process.kill(postmaster.pid, signal)
    const deadline = Date.now() + fastStopTimeout
    while (Date.now() < deadline) {
      if (!(await worksIn(postmaster.pid, cluster))) return
      await sleep(10)
    }
  }
}
