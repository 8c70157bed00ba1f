import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { ForgeError } from '#core/errors.ts'
import { Digest } from '#core/id.ts'
import type { BlobStore } from './blobs.ts'

const noSuchBlob = (digest: string) => new ForgeError('not_found', `there is no blob ${digest}`)

const diskFull = (error: unknown): unknown => {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new ForgeError('disk_full', 'there is no space left for a blob', {
    hint: 'free some space in the data directory and try again',
    cause: error,
  })
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir)
  await handle.sync().finally(() => handle.close())
}

class FileBlobs implements BlobStore {
  readonly #dir: string
  #ready: Promise<void> | null = null

  constructor(dir: string) {
    this.#dir = dir
  }

  get #incoming(): string {
    return path.join(this.#dir, 'incoming')
  }

  #file(digest: Digest): string {
    if (!Digest.safeParse(digest).success) throw noSuchBlob(String(digest))
    return path.join(this.#dir, digest.slice(0, 2), digest.slice(2))
  }

  /** Makes the folders and removes what puts of an earlier process left half-way. */
  async #prepare(): Promise<void> {
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#incoming))
      if (!name.startsWith(`${process.pid}-`)) await rm(path.join(this.#incoming, name), { force: true })
  }

  async put(
    content: Readable | Buffer,
    maxBytes = Number.POSITIVE_INFINITY,
  ): Promise<{ digest: Digest; bytes: number }> {
    const temporary = path.join(this.#incoming, `${process.pid}-${randomUUID()}`)
    try {
      this.#ready ??= this.#prepare()
      await this.#ready.catch((error) => {
        this.#ready = null
        throw error
      })
      const stored = await this.#write(temporary, Buffer.isBuffer(content) ? [content] : content, maxBytes)
      await this.#keep(temporary, stored.digest)
      return stored
    } catch (error) {
      await rm(temporary, { force: true })
      throw diskFull(error)
    }
  }

  async #write(
    file: string,
    content: Iterable<Buffer> | Readable,
    maxBytes: number,
  ): Promise<{ digest: Digest; bytes: number }> {
    const handle = await open(file, 'wx', 0o400)
    try {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const chunk of content) {
        const buffer = Buffer.from(chunk)
        bytes += buffer.length
        if (bytes > maxBytes)
          throw new ForgeError('too_large', `the content is larger than ${maxBytes} bytes`, {
            data: { maxBytes },
          })
        hash.update(buffer)
        await writeAll(handle, buffer)
      }
      await handle.sync()
      return { digest: Digest.parse(hash.digest('hex')), bytes }
    } finally {
      await handle.close()
    }
  }

  async #keep(temporary: string, digest: Digest): Promise<void> {
    const file = this.#file(digest)
    const folder = path.dirname(file)
    const made = await mkdir(folder, { recursive: true, mode: 0o700 })
    await rename(temporary, file)
    await syncDirectory(folder)
    if (made !== undefined) await syncDirectory(this.#dir)
  }

  async open(digest: Digest): Promise<{ stream: Readable; bytes: number }> {
    const handle = await open(this.#file(digest)).catch(missing(digest))
    const { size } = await handle.stat()
    return { stream: handle.createReadStream(), bytes: size }
  }

  async path(digest: Digest): Promise<string> {
    const file = this.#file(digest)
    await stat(file).catch(missing(digest))
    return file
  }
}

/** `write` may write less than it was given, for example just before the disk is full. */
async function writeAll(handle: FileHandle, buffer: Buffer): Promise<void> {
  for (let done = 0; done < buffer.length; ) done += (await handle.write(buffer, done)).bytesWritten
}

const missing =
  (digest: Digest) =>
  (error: NodeJS.ErrnoException): never => {
    throw error.code === 'ENOENT' ? noSuchBlob(digest) : error
  }

/** Blobs as files named by their SHA-256, below `dir`, which belongs to this process alone. */
export const fileBlobs = (dir: string): BlobStore => new FileBlobs(dir)
