import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { privateSocketDir } from './socket-dir.ts'

const uid = process.geteuid?.() ?? -1
let dir: string
beforeAll(async () => {
  dir = await mkdtemp('/tmp/forge-socket-')
})
afterAll(() => rm(dir, { recursive: true }))

it('makes a directory of its own', async () => {
  await privateSocketDir(path.join(dir, 'new/forge.sock'), uid)
  await privateSocketDir(path.join(dir, 'new/forge.sock'), uid)
})

it('refuses one that others may use, that is another user’s, or that is a link', async () => {
  await chmod(path.join(dir, 'new'), 0o755)
  await expect(privateSocketDir(path.join(dir, 'new/forge.sock'), uid)).rejects.toThrow(/mode must be 0700/)
  await chmod(path.join(dir, 'new'), 0o700)
  await expect(privateSocketDir(path.join(dir, 'new/forge.sock'), uid + 1)).rejects.toThrow(/belongs to uid/)
  await symlink('new', path.join(dir, 'link'))
  await expect(privateSocketDir(path.join(dir, 'link/forge.sock'), uid)).rejects.toThrow(/no directory/)
})
