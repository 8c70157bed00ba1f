import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startEmbedded } from '../embedded.ts'
import { findBinaries } from './binaries.ts'

const isRoot = process.getuid?.() === 0
const nobody = 65534

describe('findBinaries', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'forge-binaries-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  /** The package as npm unpacks it when it may run no install script: without the library links. */
  const bare = async () => {
    const packageDir = path.join(dir, 'closed/package')
    const { dir: native } = await findBinaries({ others: false, copyTo: [] })
    await cp(path.dirname(native), packageDir, {
      recursive: true,
      filter: async (source) => !(await lstat(source)).isSymbolicLink(),
    })
    await chmod(path.join(dir, 'closed'), 0o700)
    return packageDir
  }
  const versionBy = (native: string, user: { uid?: number; gid?: number }) =>
    spawnSync(path.join(native, 'bin/postgres'), ['--version'], { cwd: '/', encoding: 'utf8', ...user })
      .stdout

  it('makes the missing links in place for the present user', async () => {
    const packageDir = await bare()
    const found = await findBinaries({ others: false, copyTo: [], packageDir })
    expect(found.dir).toBe(path.join(packageDir, 'native'))
    expect(versionBy(found.dir, {})).toContain('18.')
  })

  it('copies once, to the first place that others may reach', async (context) => {
    if (!isRoot) context.skip('running as another user needs root')
    const packageDir = await bare()
    await chmod(dir, 0o755)
    const mask = process.umask(0o077)
    context.onTestFinished(() => void process.umask(mask))
    const options = { others: true, copyTo: [path.join(dir, 'closed/a'), path.join(dir, 'b')], packageDir }
    const [found, ...same] = await Promise.all([
      findBinaries(options),
      findBinaries(options),
      findBinaries(options),
    ])
    expect(found.dir).toContain(path.join(dir, 'b'))
    expect(same.map((other) => other.dir)).toEqual([found.dir, found.dir])
    expect(versionBy(found.dir, { uid: nobody, gid: nobody })).toContain('18.')
    expect(await readdir(path.dirname(found.dir))).toEqual(['native'])
  })

  it('starts a database with a path that the database’s user cannot walk and no socket could have', async () => {
    const dataDir = path.join(dir, 'closed', 'x'.repeat(100), 'y'.repeat(100))
    await mkdir(dataDir, { recursive: true })
    await chmod(path.join(dir, 'closed'), 0o700)
    const embedded = await startEmbedded({ dataDir })
    await embedded.stop()
  })
})
