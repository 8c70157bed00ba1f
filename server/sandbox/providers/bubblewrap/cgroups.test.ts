import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SandboxLimits } from '#core/sandbox/sandbox.ts'
import { openCgroups } from './cgroups.ts'

/**
 * Plain folders laid out as a host's hierarchies: here the kernel mounts only one version, and the other's
 * layout must be right too. What the kernel enforces is tested in limits.test.ts.
 */
let dir: string
let self: string
let fs: string
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'forge-cgroups-'))
  self = path.join(dir, 'self')
  fs = path.join(dir, 'cgroup')
  await mkdir(self)
})
afterEach(() => rm(dir, { recursive: true }))

const limits = SandboxLimits.parse({ memoryMb: 100, pids: 50, cpus: 1.5 })

const touch = async (folder: string, ...names: string[]) => {
  await mkdir(folder, { recursive: true })
  for (const name of names) await writeFile(path.join(folder, name), '')
}

const mountLine = (point: string, type: string, options: string) =>
  `30 25 0:26 / ${point} rw,nosuid shared:4 - ${type} ${type} ${options}\n`

describe('version 2', () => {
  beforeEach(async () => {
    await writeFile(path.join(self, 'mountinfo'), mountLine(fs, 'cgroup2', 'rw,nsdelegate'))
  })

  it('makes a branch of its own, passes controllers down, and sets the limits', async () => {
    await writeFile(path.join(self, 'cgroup'), '0::/system.slice/forge.service\n')
    await touch(fs, 'cgroup.procs', 'cgroup.subtree_control')
    const group = path.join(fs, 'forge/me/sbx')
    await touch(group, 'memory.max', 'memory.swap.max', 'pids.max', 'cpu.max', 'cgroup.procs')
    const made = await (await openCgroups({ owner: 'me', root: true, self })).create('sbx', limits)
    expect(made.join).toEqual([group])
    const how = { enforced: true, how: 'cgroup v2' }
    expect(made.enforcement).toEqual({ memory: how, pids: how, cpus: how })
    const written = (name: string) => readFile(path.join(group, name), 'utf8')
    expect(await written('memory.max')).toBe(String(100 * 1024 * 1024))
    expect(await written('memory.swap.max')).toBe('0')
    expect(await written('pids.max')).toBe('50')
    expect(await written('cpu.max')).toBe('150000 100000')
    for (const above of [fs, path.join(fs, 'forge'), path.join(fs, 'forge/me')])
      expect(await readFile(path.join(above, 'cgroup.subtree_control'), 'utf8')).toMatch(/^\+/)
  })

  it('says of a controller that is not passed down that there is none', async () => {
    await touch(fs, 'cgroup.procs', 'cgroup.subtree_control')
    await touch(path.join(fs, 'forge/me/sbx'), 'pids.max')
    const { enforcement } = await (await openCgroups({ owner: 'me', root: true, self })).create('sbx', limits)
    expect(enforcement.pids.enforced).toBe(true)
    expect(enforcement.memory).toEqual({
      enforced: false,
      how: 'no such cgroup controller here',
    })
  })

  it('takes a subtree that was delegated to a plain user, the highest one', async () => {
    const user = 'user.slice/user-1000.slice/user@1000.service'
    await writeFile(path.join(self, 'cgroup'), `0::/${user}/app.slice/forge.service\n`)
    for (const group of [user, `${user}/app.slice`, `${user}/app.slice/forge.service`])
      await touch(path.join(fs, group), 'cgroup.procs', 'cgroup.subtree_control')
    const { join } = await (await openCgroups({ owner: 'me', root: false, self })).create('sbx', limits)
    expect(join).toEqual([path.join(fs, user, 'forge/me/sbx')])
  })

  it('counts the kills for memory', async () => {
    const group = path.join(fs, 'forge/me/sbx')
    await touch(group)
    await writeFile(path.join(group, 'memory.events'), 'low 0\noom 3\noom_kill 2\noom_group_kill 0\n')
    expect(await (await openCgroups({ owner: 'me', root: true, self })).oomKills('sbx')).toBe(2)
  })
})

describe('version 1', () => {
  it('uses each hierarchy for what it controls', async () => {
    const at = (name: string) => path.join(fs, name)
    const mounts = [
      mountLine(at('memory'), 'cgroup', 'rw,memory'),
      mountLine(at('cpu,cpuacct'), 'cgroup', 'rw,cpu,cpuacct'),
      mountLine(at('pids'), 'cgroup', 'rw,pids'),
      mountLine(at('blkio'), 'cgroup', 'rw,blkio'),
    ]
    await writeFile(path.join(self, 'mountinfo'), mounts.join(''))
    await touch(path.join(at('memory'), 'forge/me/sbx'), 'memory.limit_in_bytes')
    await touch(path.join(at('cpu,cpuacct'), 'forge/me/sbx'), 'cpu.cfs_quota_us', 'cpu.cfs_period_us')
    await touch(path.join(at('pids'), 'forge/me/sbx'), 'pids.max')
    const made = await (await openCgroups({ owner: 'me', root: true, self })).create('sbx', limits)
    const how = { enforced: true, how: 'cgroup v1' }
    expect(made.enforcement).toEqual({ memory: how, pids: how, cpus: how })
    expect(made.join).toHaveLength(3)
  })
})

describe('a host without cgroups', () => {
  it('says so, and lists and removes nothing', async () => {
    await writeFile(path.join(self, 'mountinfo'), '')
    const cgroups = await openCgroups({ owner: 'me', root: true, self })
    const { join, enforcement } = await cgroups.create('sbx', SandboxLimits.parse({}))
    expect(join).toEqual([])
    expect(enforcement.memory).toEqual({
      enforced: false,
      how: 'no cgroup that this user may change',
    })
    expect(enforcement.cpus).toEqual({ enforced: true, how: 'no limit asked for' })
    expect(await cgroups.list()).toEqual([])
    await cgroups.remove('sbx')
  })
})
