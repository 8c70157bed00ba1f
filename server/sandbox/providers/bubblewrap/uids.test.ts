import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { uidClaims } from './uids.ts'

let lockDir: string
beforeEach(async () => {
  lockDir = path.join(await mkdtemp(path.join(os.tmpdir(), 'forge-uids-')), 'uids')
})
afterEach(() => rm(path.dirname(lockDir), { recursive: true }))

const range = (count: number) => ({ first: 5000, count, lockDir })

describe('uid claims', () => {
  it('give each sandbox of each server another uid, until none is left', async () => {
    const [one, two] = [uidClaims(range(40), 'one'), uidClaims(range(40), 'two')]
    const claimed = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? one : two).claim(`sbx_${index}`)),
    )
    expect([...claimed].sort()).toEqual(Array.from({ length: 40 }, (_, index) => 5000 + index))
    await expect(one.claim('sbx_more')).rejects.toMatchObject({ code: 'provider_unavailable' })
    await two.release('sbx_1')
    expect(await one.claim('sbx_more')).toBe(claimed[1])
  })

  it('belong to one server, and are given back by it alone', async () => {
    const [one, two] = [uidClaims(range(8), 'one'), uidClaims(range(8), 'two')]
    const uid = await one.claim('sbx_a')
    expect([await one.of('sbx_a'), await two.of('sbx_a')]).toEqual([[uid], []])
    await two.release('sbx_a')
    expect(await one.list()).toEqual(['sbx_a'])
    await one.release('sbx_a')
    expect([await one.list(), await readdir(lockDir)]).toEqual([[], []])
  })

  it('are never there without saying whose they are', async () => {
    const claims = uidClaims(range(1), 'one')
    await claims.claim('sbx_a')
    // What a server that was killed just before the claim leaves.
    await writeFile(path.join(lockDir, '.one-sbx_b'), 'one sbx_b\n')
    await expect(claims.claim('sbx_c')).rejects.toMatchObject({ code: 'provider_unavailable' })
    await claims.release('sbx_b')
    await claims.release('sbx_a')
    expect(await readdir(lockDir)).toEqual([])
    expect((await stat(lockDir)).mode & 0o777).toBe(0o700)
  })
})
