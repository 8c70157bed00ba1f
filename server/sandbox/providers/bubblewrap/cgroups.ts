import { access, constants, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Enforcement, Enforcements, SandboxLimits } from '#core/sandbox/sandbox.ts'

/** One mounted hierarchy in which we can make groups. */
interface Hierarchy {
  readonly version: 1 | 2
  /** Where our own subtree begins; the kernel lets us move processes below it. */
  readonly base: string
  /** Of version 1: what it controls. Version 2 says so in a file. */
  readonly controllers: readonly string[]
}

export interface CgroupSandbox {
  /** Folders whose `cgroup.procs` the sandbox's first process joins. */
  readonly join: readonly string[]
  readonly enforcement: Omit<Enforcements, 'disk'>
}

export interface Cgroups {
  create(id: string, limits: SandboxLimits): Promise<CgroupSandbox>
  /** Times that the kernel killed for memory in it; 0 when unknown. */
  oomKills(id: string): Promise<number>
  /** Only when no process is left. Idempotent. */
  remove(id: string): Promise<void>
  list(): Promise<string[]>
}

export interface CgroupOptions {
  /** Names our subtree, so that servers side by side tell theirs apart. */
  readonly owner: string
  readonly root: boolean
  /** `/proc/self`, elsewhere in tests. */
  readonly self?: string
}

const exists = (file: string, mode = constants.F_OK): Promise<boolean> =>
  access(file, mode).then(
    () => true,
    () => false,
  )

/** Parts of a line of mountinfo(5) behind the ` - `: type, source, options of the superblock. */
function parseMounts(mountinfo: string): { point: string; type: string; options: string[] }[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [type = '', , options = ''] = after.split(' ')
    const point = before.split(' ')[4]
    return point !== undefined && type.startsWith('cgroup')
      ? [{ point, type, options: options.split(',') }]
      : []
  })
}

/** The highest group above our own that we may write to: a subtree that systemd delegated to this user. */
async function delegatedBase(point: string, own: string): Promise<string | null> {
  let best: string | null = null
  for (let group = path.posix.dirname(own); ; group = path.posix.dirname(group)) {
    const dir = path.join(point, group)
    const files = ['', 'cgroup.procs', 'cgroup.subtree_control']
    const writable = await Promise.all(files.map((name) => exists(path.join(dir, name), constants.W_OK)))
    if (writable.every(Boolean)) best = dir
    if (group === '/' || group === '.') return best
  }
}

async function findHierarchies(options: CgroupOptions): Promise<Hierarchy[]> {
  const self = options.self ?? '/proc/self'
  const read = (name: string) => readFile(path.join(self, name), 'utf8').catch(() => '')
  const own = /^0::(.*)$/m.exec(await read('cgroup'))?.[1] ?? '/'
  const found: Hierarchy[] = []
  for (const mount of parseMounts(await read('mountinfo'))) {
    if (mount.type === 'cgroup2') {
      const base = options.root ? mount.point : await delegatedBase(mount.point, own)
      if (base !== null) found.push({ version: 2, base, controllers: [] })
    } else if (options.root) {
      const wanted = ['memory', 'pids', 'cpu', 'name=systemd']
      const controllers = mount.options.filter((option) => wanted.includes(option))
      if (controllers.length > 0) found.push({ version: 1, base: mount.point, controllers })
    }
  }
  return found
}

/** Children only get the controllers that every group above them passes on. */
async function passControllersOn(base: string, dirs: readonly string[]): Promise<void> {
  for (const dir of [base, ...dirs])
    for (const controller of ['memory', 'pids', 'cpu'])
      await writeFile(path.join(dir, 'cgroup.subtree_control'), `+${controller}`).catch(() => {})
}

const cpuPeriodUs = 100_000

function settings(
  limits: SandboxLimits,
): Record<'memory' | 'pids' | 'cpus', [file: string, value: string][]> {
  const bytes = String(limits.memoryMb * 1024 * 1024)
  const quota =
    limits.cpus === undefined ? null : String(Math.max(1000, Math.round(limits.cpus * cpuPeriodUs)))
  return {
    memory: [
      ['memory.max', bytes],
      ['memory.swap.max', '0'],
      ['memory.limit_in_bytes', bytes],
      ['memory.memsw.limit_in_bytes', bytes],
    ],
    pids: [['pids.max', String(limits.pids)]],
    cpus:
      quota === null
        ? []
        : [
            ['cpu.max', `${quota} ${cpuPeriodUs}`],
            ['cpu.cfs_period_us', String(cpuPeriodUs)],
            ['cpu.cfs_quota_us', quota],
          ],
  }
}

/** Files without which the limit does not hold; the others refine it. */
const deciding = ['memory.max', 'memory.limit_in_bytes', 'pids.max', 'cpu.max', 'cpu.cfs_quota_us']

async function applySetting(
  dirs: readonly { dir: string; version: 1 | 2 }[],
  files: readonly [string, string][],
): Promise<Enforcement> {
  let held: 1 | 2 | null = null
  for (const { dir, version } of dirs)
    for (const [name, value] of files) {
      const file = path.join(dir, name)
      if (!(await exists(file))) continue
      const written = await writeFile(file, value).then(
        () => true,
        () => false,
      )
      if (written && deciding.includes(name)) held = version
    }
  if (held !== null) return { enforced: true, how: `cgroup v${held}` }
  const why = dirs.length === 0 ? 'no cgroup that this user may change' : 'no such cgroup controller here'
  return { enforced: false, how: why }
}

export async function openCgroups(options: CgroupOptions): Promise<Cgroups> {
  const hierarchies = await findHierarchies(options)
  const ours = (hierarchy: Hierarchy) => path.join(hierarchy.base, 'forge', options.owner)
  const dirsOf = (id: string) =>
    hierarchies.map((hierarchy) => ({ dir: path.join(ours(hierarchy), id), version: hierarchy.version }))

  return {
    async create(id, limits) {
      const made: { dir: string; version: 1 | 2 }[] = []
      for (const hierarchy of hierarchies) {
        const dir = path.join(ours(hierarchy), id)
        if (
          !(await mkdir(dir, { recursive: true }).then(
            () => true,
            () => false,
          ))
        )
          continue
        made.push({ dir, version: hierarchy.version })
        if (hierarchy.version === 2)
          await passControllersOn(hierarchy.base, [path.join(hierarchy.base, 'forge'), ours(hierarchy)])
      }
      const files = settings(limits)
      const cpus =
        limits.cpus === undefined
          ? { enforced: true, how: 'no limit asked for' }
          : await applySetting(made, files.cpus)
      return {
        join: made.map(({ dir }) => dir),
        enforcement: {
          memory: await applySetting(made, files.memory),
          pids: await applySetting(made, files.pids),
          cpus,
        },
      }
    },
    async oomKills(id) {
      let kills = 0
      for (const { dir } of dirsOf(id))
        for (const name of ['memory.events', 'memory.oom_control']) {
          const text = await readFile(path.join(dir, name), 'utf8').catch(() => '')
          kills += Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
        }
      return kills
    },
    async remove(id) {
      for (const { dir } of dirsOf(id)) {
        await removeGroup(dir)
        // Our own branch goes with its last group; a busy one stays.
        await rmdir(path.dirname(dir)).catch(() => {})
        await rmdir(path.dirname(path.dirname(dir))).catch(() => {})
      }
    },
    async list() {
      const names = await Promise.all(
        hierarchies.map((hierarchy) => readdir(ours(hierarchy), { withFileTypes: true }).catch(() => [])),
      )
      return [
        ...new Set(
          names
            .flat()
            .filter((entry) => entry.isDirectory())
            .map((entry) => entry.name),
        ),
      ]
    },
  }
}

/** The kernel says EBUSY for a moment after the last process has gone. */
async function removeGroup(dir: string): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const code = await rmdir(dir).then(
      () => null,
      (error: NodeJS.ErrnoException) => error.code,
    )
    if (code !== 'EBUSY') return
    await sleep(2)
  }
}
