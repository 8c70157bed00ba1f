import { spawn } from 'node:child_process'
import {
  appendFile,
  chmod,
  chown,
  lchown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import type { Binaries } from './binaries.ts'

/** Who the database's processes run as. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The one role and database that Forge uses. */
export const role = 'forge'
export const database = 'postgres'

/**
 * initdb insists on a name for its user, and `ownUid` has none: as root it runs as nobody,
 * whom every system has, and the files change hands before the first start.
 */
const nobody = 65534

/** Durable, small, and reachable through its socket only. */
const settings = `listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 40
superuser_reserved_connections = 3
shared_buffers = 32MB
work_mem = 8MB
maintenance_work_mem = 32MB
max_wal_size = 256MB
min_wal_size = 32MB
wal_level = minimal
max_wal_senders = 0
fsync = on
synchronous_commit = on
full_page_writes = on
io_method = sync
jit = off
max_parallel_workers_per_gather = 0
max_worker_processes = 2
autovacuum_max_workers = 1
idle_in_transaction_session_timeout = 120s
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_min_error_statement = panic
log_checkpoints = off
log_line_prefix = '%m [%p] '
`

const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`

function runInitdb(binaries: Binaries, fd: number, owner: Owner | null): Promise<void> {
  const args = [
    ['-D', '/proc/self/fd/3'],
    ['-U', role],
    ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ['--auth=peer', '--no-instructions'],
  ].flat()
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(binaries.dir, 'bin/initdb'), args, {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', fd],
      ...(owner === null ? {} : { uid: owner.uid, gid: owner.gid }),
    })
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-4000)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else
        reject(
          new ForgeError('store_unavailable', `initdb failed (${code ?? signal}): ${complaint.trim()}`, {
            hint: 'see that the disk has space and that this user has an entry in /etc/passwd, or set DATABASE_URL',
          }),
        )
    })
  })
}

async function giveTo(dir: string, owner: Owner): Promise<void> {
  for (const name of await readdir(dir, { recursive: true }))
    await lchown(path.join(dir, name), owner.uid, owner.gid)
  await chown(dir, owner.uid, owner.gid)
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir)
  await handle.sync().finally(() => handle.close())
}

/**
 * Writes the settings and who may connect: one operating system user, as one role, through the socket.
 * @returns whether any of it is new.
 */
async function configure(cluster: string, clientUser: string): Promise<boolean> {
  const files = {
    'forge.conf': settings,
    'pg_hba.conf': `local all ${role} peer map=forge\n`,
    'pg_ident.conf': `forge ${quoteName(clientUser)} ${role}\n`,
  }
  let changed = false
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(cluster, name)
    if ((await readFile(file, 'utf8').catch(() => null)) === text) continue
    await writeFile(file, text, { mode: 0o600 })
    changed = true
  }
  return changed
}

/**
 * Makes the cluster beside its place and renames it, so that a directory named `cluster` is always whole.
 * What an interrupted attempt left is removed.
 */
async function createCluster(base: string, binaries: Binaries, options: ClusterOptions): Promise<void> {
  for (const name of await readdir(base))
    if (name.startsWith('cluster.new-')) await rm(path.join(base, name), { recursive: true, force: true })
  const beside = await mkdtemp(path.join(base, 'cluster.new-'))
  try {
    const initOwner = options.owner === null ? null : { uid: nobody, gid: nobody }
    if (initOwner !== null) await chown(beside, initOwner.uid, initOwner.gid)
    const handle = await open(beside)
    await runInitdb(binaries, handle.fd, initOwner).finally(() => handle.close())
    await appendFile(path.join(beside, 'postgresql.conf'), "\ninclude 'forge.conf'\n")
    await configure(beside, options.clientUser)
    if (options.owner !== null) await giveTo(beside, options.owner)
    await syncDirectory(beside)
    await rename(beside, path.join(base, 'cluster'))
    await syncDirectory(base)
  } catch (error) {
    await rm(beside, { recursive: true, force: true })
    throw error
  }
}

export interface ClusterOptions {
  /** Null: the present user. */
  readonly owner: Owner | null
  /** The operating system name of the user that connects. */
  readonly clientUser: string
  readonly onProgress: (message: string) => void
}

export interface Cluster {
  readonly dir: string
  /** Device and inode of `dir`, which hold also after somebody has removed it. */
  readonly inode: { readonly dev: number; readonly ino: number }
  readonly runDir: string
  /** A process that is running began with other settings than these. */
  readonly changed: boolean
  readonly log: string
  readonly owner: Owner | null
}

async function assertMajor(cluster: string, binaries: Binaries): Promise<void> {
  const major = Number.parseInt(await readFile(path.join(cluster, 'PG_VERSION'), 'utf8'), 10)
  if (major === binaries.major) return
  throw new ForgeError(
    'config_invalid',
    `the data in ${cluster} was written by PostgreSQL ${major}, and this Forge brings ${binaries.major}`,
    {
      hint: `start the Forge that made it and dump it with pg_dump, or move ${cluster} away to begin with an empty database`,
      data: { found: major, expected: binaries.major },
    },
  )
}

/** The cluster below `base`, made on the first call. Throws `config_invalid` for one of another major version. */
export async function ensureCluster(
  base: string,
  binaries: Binaries,
  options: ClusterOptions,
): Promise<Cluster> {
  await mkdir(base, { recursive: true, mode: 0o700 })
  const dir = path.join(base, 'cluster')
  const runDir = path.join(base, 'run')
  const found = await stat(dir).catch(() => null)
  if (found === null) {
    options.onProgress('creating the database')
    await createCluster(base, binaries, options)
  }
  await assertMajor(dir, binaries)
  const changed = found !== null && (await configure(dir, options.clientUser))
  let made = await stat(dir)
  if (options.owner !== null && made.uid === 0) {
    await giveTo(dir, options.owner)
    made = await stat(dir)
  }
  const owner = options.owner === null ? null : { uid: made.uid, gid: made.gid }
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  await chmod(runDir, 0o700)
  if (owner !== null) await chown(runDir, owner.uid, owner.gid)
  const inode = { dev: made.dev, ino: made.ino }
  return { dir, inode, runDir, changed, log: path.join(base, 'postgres.log'), owner }
}
