import { constants } from 'node:fs'
import { chmod, link, lstat, mkdir, open, rm, symlink, utimes } from 'node:fs/promises'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { extract, type Header } from 'tar-stream'
import { ForgeError } from '#core/errors.ts'
import type { Transferred } from './transferred.ts'

interface Place {
  readonly folder: string
  /** What the archive's one top entry is called here; undefined keeps the archive's name. */
  readonly name: string | undefined
}

const hostile = (name: string, why: string): ForgeError =>
  new ForgeError('denied', `the sandbox sent an archive that ${why}: ${name}`, {
    hint: 'what was copied before it is still there',
  })

/** The path's parts; throws for a name that leaves the folder it is unpacked in. */
function partsOf(name: string): string[] {
  if (name.startsWith('/')) throw hostile(name, 'holds an absolute path')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.length === 0) throw hostile(name, 'holds an empty path')
  if (parts.includes('..')) throw hostile(name, 'leaves its folder')
  if (parts.some((part) => part.includes('\0'))) throw hostile(name, 'holds a broken path')
  return parts
}

/** Whether a link at `parts` that says `target` stays within the copy's top entry. */
function staysInside(parts: readonly string[], target: string): boolean {
  if (target === '' || target.startsWith('/')) return false
  let depth = parts.length - 2
  for (const part of target.split('/')) {
    if (part === '..') depth--
    else if (part !== '' && part !== '.') depth++
    if (depth < 0) return false
  }
  return true
}

/**
 * Unpacks a tar stream that nobody vouches for. Nothing is written outside `place`: no absolute names, no `..`, no
 * path through a symbolic link, whether the archive made it or it was there before; links that point out
 * of the copy, devices and pipes are left out; setuid, setgid and sticky bits are dropped.
 */
export async function unpackTree(archive: Readable, place: Place): Promise<Transferred> {
  const unpacker = new Unpacker(place)
  const entries = extract()
  archive.on('error', (error) => entries.destroy(error))
  archive.pipe(entries)
  for await (const entry of entries) {
    await unpacker.add(entry.header, entry)
    entry.resume()
  }
  await unpacker.finish()
  return unpacker
}

class Unpacker implements Transferred {
  files = 0
  bytes = 0
  readonly skipped: string[] = []
  readonly #place: Place
  #top: string | undefined
  /** Set last and inside out: a folder may be read-only. */
  readonly #folders: { path: string; mode: number; mtime: Date | undefined }[] = []

  constructor(place: Place) {
    this.#place = place
  }

  async add(header: Header, content: AsyncIterable<unknown>): Promise<void> {
    const parts = partsOf(header.name)
    this.#top ??= parts[0]
    if (parts[0] !== this.#top) throw hostile(header.name, 'holds more than what was asked for')
    const target = await this.#pathOf(parts)
    const mode = (header.mode ?? 0o644) & 0o777
    if (header.type === 'directory') {
      await this.#makeFolder(target)
      this.#folders.push({ path: target, mode, mtime: header.mtime })
    } else if (header.type === 'file' || header.type === 'contiguous-file') {
      await this.#writeFile(target, content, mode)
      if (header.mtime) await utimes(target, header.mtime, header.mtime)
    } else if (header.type === 'symlink') {
      const linkname = header.linkname ?? ''
      if (!staysInside(parts, linkname)) {
        this.skipped.push(`${header.name} -> ${linkname}: it points out of the copy`)
        return
      }
      await clear(target)
      await symlink(linkname, target)
      this.files++
    } else if (header.type === 'link') {
      const from = partsOf(header.linkname ?? '')
      if (from[0] !== this.#top) throw hostile(header.name, 'links to what was not asked for')
      const original = await this.#pathOf(from)
      if (!(await lstat(original).catch(() => undefined))?.isFile())
        throw hostile(header.name, 'links to what is no file of it')
      await clear(target)
      await link(original, target)
      this.files++
    } else this.skipped.push(`${header.name}: a ${header.type}`)
  }

  async finish(): Promise<void> {
    if (this.#top === undefined) throw new ForgeError('not_found', 'the sandbox sent nothing')
    for (const { path: folder, mode, mtime } of this.#folders.reverse()) {
      if (mtime) await utimes(folder, mtime, mtime)
      await chmod(folder, mode)
    }
  }

  /** Where an entry goes, with its parent folders made. No part of the way below `folder` may be a symbolic link. */
  async #pathOf([top = '', ...rest]: readonly string[]): Promise<string> {
    const parts = [this.#place.name ?? top, ...rest]
    let at = this.#place.folder
    for (const part of parts.slice(0, -1)) {
      at = path.join(at, part)
      await this.#makeFolder(at)
    }
    return path.join(at, parts.at(-1) ?? '')
  }

  async #makeFolder(folder: string): Promise<void> {
    const found = await lstat(folder).catch(() => undefined)
    if (found?.isDirectory()) return
    if (found) throw hostile(folder, 'goes through something that is no folder here')
    await mkdir(folder, 0o700)
  }

  async #writeFile(target: string, content: AsyncIterable<unknown>, mode: number): Promise<void> {
    await clear(target)
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
    const file = await open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      for await (const chunk of content) {
        await file.writeFile(chunk as Buffer)
        this.bytes += (chunk as Buffer).length
      }
      await file.chmod(mode)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOSPC')
        throw new ForgeError('disk_full', `no space is left for ${target}`, { cause })
      throw cause
    } finally {
      await file.close()
    }
    this.files++
  }
}

/** Takes away a file or link that is in the way; a folder is never replaced by something else. */
async function clear(target: string): Promise<void> {
  const found = await lstat(target).catch(() => undefined)
  if (found?.isDirectory())
    throw new ForgeError('conflict', `${target} is a folder here and none in the sandbox`, {
      hint: 'remove it first, or copy to another name',
    })
  if (found) await rm(target)
}
