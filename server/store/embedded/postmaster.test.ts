import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { start } from './postmaster.ts'

let base: string
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'forge-postmaster-'))
})
afterEach(() => rm(base, { recursive: true, force: true }))

/** Starts a program in PostgreSQL's place that tells what it finds, and gives back what it told. */
async function toldBy(program: string, pidFile: string): Promise<string> {
  const [dir, runDir, bin] = ['cluster', 'run', 'bin'].map((name) => path.join(base, name)) as [
    string,
    string,
    string,
  ]
  for (const made of [dir, runDir, bin]) await mkdir(made)
  await writeFile(path.join(dir, 'postmaster.pid'), pidFile)
  await writeFile(path.join(bin, 'postgres'), `#!/bin/sh\nexec >&2\n${program}\nexit 1\n`, { mode: 0o755 })
  const inode = await stat(dir)
  const log = path.join(base, 'log')
  const cluster = { dir, runDir, inode, log, changed: false, owner: null }
  const failure: unknown = await start(cluster, { dir: base, version: '18.0', major: 18 }).catch(
    (error: unknown) => error,
  )
  expect(await readdir(dir)).not.toContain('postmaster.pid.new')
  return failure instanceof Error ? failure.message : 'it started'
}

describe('the pid file of a PostgreSQL that is gone', () => {
  it('names nobody any more, so that the next process with its pid is not taken for it', async () => {
    const rest = '/proc/self/fd/3\n1700000000\n5432\n/proc/self/fd/4\n\n  2565254         0\nready\n'
    const told = await toldBy('cat /proc/self/fd/3/postmaster.pid', `120\n${rest}`)
    expect(told).toContain(`4194305\n${rest.trim()}`)
  })

  it('is removed when a crash left only a part of it', async () => {
    expect(await toldBy('ls /proc/self/fd/3/', '')).toMatch(/^PostgreSQL did not start: it says nothing$/)
  })
})
