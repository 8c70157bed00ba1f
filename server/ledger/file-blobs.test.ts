import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Digest } from '#core/id.ts'
import { fileBlobs } from './file-blobs.ts'

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')

describe('fileBlobs', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'forge-blobs-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const filesIn = async (folder: string) =>
    (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())

  it('gives back what was put, by its digest, and keeps one copy', async () => {
    const blobs = fileBlobs(dir)
    const content = randomBytes(3_000_000)
    const pieces = Array.from({ length: 30 }, (_, index) =>
      content.subarray(index * 100_000, (index + 1) * 100_000),
    )
    const stored = await Promise.all([
      blobs.put(content),
      blobs.put(Readable.from(pieces)),
      blobs.put(content),
    ])
    expect(new Set(stored.map(({ digest }) => digest))).toEqual(new Set([sha256(content)]))
    expect(stored[0]?.bytes).toBe(content.length)
    const { digest } = await blobs.put(content)
    const opened = await fileBlobs(dir).open(digest)
    expect(opened.bytes).toBe(content.length)
    expect((await buffer(opened.stream)).equals(content)).toBe(true)
    expect((await readFile(await blobs.path(digest))).equals(content)).toBe(true)
    expect(await filesIn(dir)).toHaveLength(1)
  })

  it('stores the empty blob', async () => {
    const { digest, bytes } = await fileBlobs(dir).put(Buffer.alloc(0), 0)
    expect([digest, bytes]).toEqual([sha256(Buffer.alloc(0)), 0])
  })

  it('refuses what is too large and keeps nothing of it', async () => {
    const blobs = fileBlobs(dir)
    await expect(blobs.put(Buffer.alloc(101), 100)).rejects.toMatchObject({ code: 'too_large' })
    const endless = Readable.from(
      (async function* () {
        for (;;) yield Buffer.alloc(65_536)
      })(),
    )
    await expect(blobs.put(endless, 1_000_000)).rejects.toMatchObject({ code: 'too_large' })
    expect(endless.destroyed).toBe(true)
    expect(await filesIn(dir)).toEqual([])
  })

  it('keeps nothing of a stream that breaks', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('half')
        throw new Error('cut off')
      })(),
    )
    await expect(fileBlobs(dir).put(broken)).rejects.toThrow('cut off')
    expect(await filesIn(dir)).toEqual([])
  })

  it('knows no other names, and none outside its folder', async () => {
    await writeFile(path.join(dir, 'secret'), 'x')
    const blobs = fileBlobs(path.join(dir, 'blobs'))
    for (const name of ['0'.repeat(64), '../secret', `${'0'.repeat(62)}/.`, '']) {
      await expect(blobs.open(name as Digest)).rejects.toMatchObject({ code: 'not_found' })
      await expect(blobs.path(name as Digest)).rejects.toMatchObject({ code: 'not_found' })
    }
  })

  it('removes what an earlier process left half-way', async () => {
    await mkdir(path.join(dir, 'incoming'))
    await writeFile(path.join(dir, 'incoming', '1-left'), 'x')
    await fileBlobs(dir).put(Buffer.from('a'))
    expect(await readdir(path.join(dir, 'incoming'))).toEqual([])
  })

  it('lets nobody else read', async () => {
    const blobs = fileBlobs(dir)
    const file = await blobs.path((await blobs.put(Buffer.from('a'))).digest)
    expect((await stat(file)).mode & 0o777).toBe(0o400)
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700)
  })

  it('says that the disk is full', async (context) => {
    if (process.getuid?.() !== 0) context.skip('mounting a small disk needs root')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir])
    try {
      const blobs = fileBlobs(dir)
      await expect(blobs.put(randomBytes(2_000_000))).rejects.toMatchObject({ code: 'disk_full' })
      expect((await blobs.put(randomBytes(200_000))).bytes).toBe(200_000)
    } finally {
      execFileSync('umount', [dir])
    }
  })
})
