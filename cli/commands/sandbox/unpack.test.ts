import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { type Header, pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { packTree } from './pack.ts'
import { unpackTree } from './unpack.ts'

type Entry = Partial<Header> & { name: string; body?: string }

let folder: string
let inside: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'forge-cp-'))
  inside = path.join(folder, 'inside')
  await mkdir(inside)
  await writeFile(path.join(folder, 'secret'), 'untouched')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const archive = (entries: readonly Entry[]): Readable => {
  const tar = pack()
  for (const { body, ...header } of entries) tar.entry(header, body ?? '')
  tar.finalize()
  return Readable.from(tar)
}
const unpack = (entries: readonly Entry[], name?: string) =>
  unpackTree(archive(entries), { folder: inside, name })
const dir = (name: string): Entry => ({ name, type: 'directory', mode: 0o755 })

describe('an archive from a sandbox', () => {
  test('comes out as it is, under the asked name, with modes', async () => {
    const result = await unpack(
      [
        { ...dir('top'), mode: 0o500 },
        { name: 'top/run.sh', body: '#!/bin/sh\n', mode: 0o4755 },
        { name: 'top/link', type: 'symlink', linkname: 'run.sh' },
        dir('top/sub'),
        { name: 'top/sub/up', type: 'symlink', linkname: '../run.sh' },
        { name: 'top/hard', type: 'link', linkname: 'top/run.sh' },
      ],
      'renamed',
    )
    const top = path.join(inside, 'renamed')
    expect(result).toMatchObject({ files: 4, skipped: [] })
    expect((await lstat(path.join(top, 'run.sh'))).mode & 0o7777).toBe(0o755)
    expect((await lstat(top)).mode & 0o7777).toBe(0o500)
    expect(await readlink(path.join(top, 'sub/up'))).toBe('../run.sh')
    expect(await readFile(path.join(top, 'hard'), 'utf8')).toBe('#!/bin/sh\n')
    await chmod(top, 0o700)
  })

  test.each<[string, Entry[]]>([
    ['..', [{ name: '../secret', body: 'owned' }]],
    ['.. further in', [dir('top'), { name: 'top/../../secret', body: 'owned' }]],
    ['an absolute name', [{ name: '/tmp/forge-owned', body: 'owned' }]],
    ['an empty name', [{ name: './', type: 'directory' }]],
    ['a second top', [dir('top'), { name: '.bashrc', body: 'owned' }]],
    ['a hard link to outside', [dir('top'), { name: 'top/x', type: 'link', linkname: '../secret' }]],
    ['a hard link to elsewhere', [dir('top'), { name: 'top/x', type: 'link', linkname: 'other/secret' }]],
    [
      'a path through its own link',
      [
        dir('top'),
        dir('top/real'),
        { name: 'top/sub', type: 'symlink', linkname: 'real' },
        { name: 'top/sub/x', body: 'owned' },
      ],
    ],
    [
      'a hard link to its own symbolic link',
      [
        dir('top'),
        { name: 'top/a', type: 'symlink', linkname: 'b' },
        { name: 'top/x', type: 'link', linkname: 'top/a' },
      ],
    ],
  ])('is refused for %s', async (_name, entries) => {
    await expect(unpack(entries)).rejects.toMatchObject({ code: 'denied' })
    expect(await readFile(path.join(folder, 'secret'), 'utf8')).toBe('untouched')
  })

  test.each(['/etc/passwd', '../../secret', 'sub/../../../secret'])(
    'loses its link to %s',
    async (linkname) => {
      const { skipped } = await unpack([dir('top'), { name: 'top/out', type: 'symlink', linkname }])
      expect(skipped).toEqual([`top/out -> ${linkname}: it points out of the copy`])
      await expect(lstat(path.join(inside, 'top/out'))).rejects.toThrow('ENOENT')
    },
  )

  test('does not write through a link that was here before', async () => {
    await symlink(folder, path.join(inside, 'top'))
    await expect(unpack([{ name: 'top/secret', body: 'owned' }])).rejects.toMatchObject({ code: 'denied' })
    await rm(path.join(inside, 'top'))
    await symlink(path.join(folder, 'secret'), path.join(inside, 'file'))
    await unpack([{ name: 'file', body: 'new' }])
    expect(await readFile(path.join(inside, 'file'), 'utf8')).toBe('new')
    expect(await readFile(path.join(folder, 'secret'), 'utf8')).toBe('untouched')
  })

  test('leaves devices and pipes out', async () => {
    const { skipped } = await unpack([
      dir('top'),
      { name: 'top/pipe', type: 'fifo' },
      { name: 'top/disk', type: 'block-device', devmajor: 8, devminor: 0 },
    ])
    expect(skipped).toEqual(['top/pipe: a fifo', 'top/disk: a block-device'])
  })

  test('that is cut off is an error', async () => {
    const bytes = Buffer.concat(await archive([{ name: 'file', body: 'x'.repeat(5000) }]).toArray())
    await expect(
      unpackTree(Readable.from([bytes.subarray(0, 2000)]), { folder: inside, name: undefined }),
    ).rejects.toThrow()
  })
})

test('what is packed here comes out the same', async () => {
  await mkdir(path.join(inside, 'a/empty'), { recursive: true })
  await writeFile(path.join(inside, 'a/big'), Buffer.alloc(300_000, 7))
  await writeFile(path.join(inside, 'a/none'), '')
  await symlink('big', path.join(inside, 'a/link'))
  const tree = await packTree(path.join(inside, 'a'), 'a')
  const result = await unpackTree(tree.stream, { folder, name: 'b' })
  expect(tree.counted()).toMatchObject({ files: 3, bytes: 300_000, skipped: [] })
  expect(result).toMatchObject({ files: 3, bytes: 300_000, skipped: [] })
  expect((await readFile(path.join(folder, 'b/big'))).equals(Buffer.alloc(300_000, 7))).toBe(true)
  expect((await lstat(path.join(folder, 'b/empty'))).isDirectory()).toBe(true)
})
