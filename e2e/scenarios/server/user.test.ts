import { chmod, chown, mkdir, readdir, stat, symlink } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '#core/sandbox/sandbox.ts'
import type { ServerStatus } from '#core/server/server.ts'
import { contract } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'
import { toolsDir } from '#server/lifecycle/places.ts'

/** `nobody`: PostgreSQL wants a user with a name. */
const stranger = 65_534
const nameless = 47_123
const root = process.getuid?.() === 0

describe.skipIf(!root)('a user who is not root, with XDG directories (needs root to become one)', () => {
  let world: World
  let options: { uid: number; env: Record<string, string>; cwd: string }
  beforeAll(async () => {
    world = await World.make()
    await chmod(world.dir, 0o755)
    const home = path.join(world.dir, 'user')
    const runtime = path.join(world.dir, 'runtime')
    for (const dir of [home, runtime]) {
      await mkdir(dir, { mode: 0o700 })
      await chown(dir, stranger, stranger)
    }
    // What the set-up brings, which this machine's root has brought already.
    await mkdir(path.join(home, '.cache/forge'), { recursive: true })
    const account = { uid: 0, home: '/root' }
    await symlink(toolsDir({}, account), toolsDir({}, { uid: stranger, home }))
    options = {
      uid: stranger,
      cwd: home,
      env: { FORGE_HOME: '', HOME: home, XDG_RUNTIME_DIR: runtime, XDG_DATA_HOME: path.join(home, 'data') },
    }
  })
  afterAll(async () => {
    await world.forge(['stop'], options)
    await world[Symbol.asyncDispose]()
  })

  it('has a server, a database, a sandbox and runs of their own', async () => {
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: 'id -u; echo x > x' } }] }, { text: 'Done.' }],
    })
    const result = await world.forge(['run', '--json', 'Who are you?'], {
      ...options,
      env: { ...options.env, ANTHROPIC_BASE_URL: model.url },
    })
    expect(contract(result).finished.data, result.stdout).toMatchObject({
      outcome: 'done',
      diff: { files: 1 },
    })
    const status = await world.json<ServerStatus>(['status'], options)
    expect(status.home).toBe(path.join(world.dir, 'user/data/forge'))
    expect(status.socket).toBe(path.join(world.dir, 'runtime/forge/forge.sock'))
    expect(await readdir(path.join(world.dir, 'user'))).toContain('data')
    expect((await stat(path.dirname(status.socket))).mode & 0o777).toBe(0o700)
  })

  it('cannot be asked anything by another user', async () => {
    const status = await world.json<ServerStatus>(['status'], options)
    const other = await world.forge(['status'], { ...options, uid: nameless, cwd: '/' })
    expect(other.code).not.toBe(0)
    expect(other.stdout).not.toContain(String(status.pid))
  })

  it('needs a name, or a database that is given', async () => {
    const home = path.join(world.dir, 'nameless')
    await mkdir(home, { mode: 0o700 })
    await chown(home, nameless, nameless)
    const env = { FORGE_HOME: home, HOME: home }
    const { code, stderr } = await world.forge(['sandbox', 'ls'], { env, uid: nameless, cwd: home })
    expect(code).toBe(3)
    expect(stderr).toMatch(/47123 has no name[\s\S]*DATABASE_URL/)
  })

  it('keeps a sandbox over a restart, with the limits that hold named', async () => {
    const made = await world.json<Sandbox>(['sandbox', 'create', '--name', 'mine'], options)
    expect(Object.keys(made.enforcement ?? {}).sort()).toEqual(['cpus', 'disk', 'memory', 'pids'])
    await world.forge(['sandbox', 'exec', 'mine', '--', 'echo kept > ~/f'], options)
    await world.forge(['stop'], options)
    const read = await world.forge(['sandbox', 'exec', 'mine', '--', 'cat ~/f'], options)
    expect(read.stdout, read.stderr).toBe('kept\n')
    expect((await world.forge(['sandbox', 'rm', 'mine'], options)).code).toBe(0)
  })
})
