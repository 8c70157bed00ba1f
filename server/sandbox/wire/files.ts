import { randomBytes } from 'node:crypto'
import { posix } from 'node:path'
import type { Stats } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import { quote } from '#core/sandbox/quote.ts'
import { finishRun } from './run.ts'
import type { Session } from './session.ts'
import { fileError, isFailure, Sftp } from './sftp.ts'
import type { ExecProcess, ExecRequest, FileStat, WireFiles } from './wire.ts'

/** Bytes a request: OpenSSH takes packets of 256 KiB, header included. */
const block = 255 * 1024
/** Entries of one directory that `list` gives. */
const mostEntries = 50_000

function statOf(stats: Stats): FileStat {
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : 'other'
  return { kind, size: stats.size, mode: stats.mode & 0o7777, mtime: stats.mtime * 1000 }
}

function checkPath(path: string): void {
  if (!path.startsWith('/') || path.includes('\0'))
    throw new ForgeError('invalid_input', `${JSON.stringify(path)} is not an absolute path`)
}

/** The files of a sandbox over SFTP. Names that are not UTF-8 are out of reach here; commands reach them. */
class Files implements WireFiles {
  readonly #sftp: Sftp
  readonly #exec: (request: ExecRequest) => Promise<ExecProcess>

  constructor(session: Session, exec: (request: ExecRequest) => Promise<ExecProcess>) {
    this.#sftp = new Sftp(session)
    this.#exec = exec
  }

  async #on<T>(path: string, act: () => Promise<T>): Promise<T> {
    checkPath(path)
    try {
      return await act()
    } catch (thrown) {
      throw fileError(thrown, path)
    }
  }

  #lstat(path: string): Promise<Stats> {
    return this.#sftp.ask<Stats>((sftp, done) => sftp.lstat(path, done))
  }

  stat(path: string): Promise<FileStat> {
    return this.#on(path, async () => statOf(await this.#lstat(path)))
  }

  read(path: string, maxBytes: number): Promise<Buffer> {
    return this.#on(path, async () => {
      const tooLarge = () =>
        new ForgeError('too_large', `${JSON.stringify(path)} is larger than ${maxBytes} bytes`, {
          data: { path, maxBytes },
        })
      const stats = await this.#sftp.ask<Stats>((sftp, done) => sftp.stat(path, done))
      // Opening a FIFO or a device could block or never end.
      if (!stats.isFile()) throw new ForgeError('conflict', `${JSON.stringify(path)} is not a regular file`)
      if (stats.size > maxBytes) throw tooLarge()
      const handle = await this.#sftp.ask<Buffer>((sftp, done) => sftp.open(path, 'r', done))
      try {
        return await this.#readAll(handle, maxBytes, tooLarge)
      } finally {
        await this.#close(handle)
      }
    })
  }

  /** Until the end, not until the size: files of /proc have none, and a file may grow meanwhile. */
  async #readAll(handle: Buffer, maxBytes: number, tooLarge: () => ForgeError): Promise<Buffer> {
    const chunks: Buffer[] = []
    let total = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(Math.min(block, maxBytes - total + 1))
      const bytes = await this.#sftp.ask<number>((sftp, done) =>
        sftp.read(handle, chunk, 0, chunk.length, total, done),
      )
      if (bytes === 0) return Buffer.concat(chunks, total)
      total += bytes
      if (total > maxBytes) throw tooLarge()
      chunks.push(chunk.subarray(0, bytes))
    }
  }

  #close(handle: Buffer): Promise<unknown> {
    return this.#sftp
      .ask<undefined>((sftp, done) => sftp.close(handle, (error) => done(error, undefined)))
      .catch(() => undefined)
  }

  write(path: string, content: Buffer | string, mode?: number): Promise<void> {
    return this.#on(path, async () => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const link = await this.#lstat(path).catch(() => null)
      const isLink = link?.isSymbolicLink() === true
      const target = isLink ? await this.#resolve(path) : path
      const present = isLink ? await this.#lstat(target).catch(() => null) : link
      const kept = present?.isFile() ? present.mode & 0o7777 : 0o644
      const temporary = posix.join(posix.dirname(target), `.forge-${randomBytes(8).toString('hex')}`)
      const handle = await this.#create(temporary)
      try {
        await this.#fill(handle, bytes, mode ?? kept)
        await this.#sftp.ask<undefined>((sftp, done) =>
          sftp.ext_openssh_rename(temporary, target, (error) => done(error, undefined)),
        )
      } catch (thrown) {
        await this.#sftp
          .ask<undefined>((sftp, done) => sftp.unlink(temporary, (error) => done(error, undefined)))
          .catch(() => undefined)
        throw thrown
      }
    })
  }

  /** What a symlink leads to; a dangling one stands for itself and is replaced. */
  #resolve(path: string): Promise<string> {
    return this.#sftp.ask<string>((sftp, done) => sftp.realpath(path, done)).catch(() => path)
  }

  async #create(temporary: string): Promise<Buffer> {
    const open = () => this.#sftp.ask<Buffer>((sftp, done) => sftp.open(temporary, 'wx', 0o600, done))
    try {
      return await open()
    } catch (thrown) {
      if (fileError(thrown, temporary).code === 'conflict') throw await this.#explain(temporary, thrown)
      if (fileError(thrown, temporary).code !== 'not_found') throw thrown
    }
    await this.#makeDirectories(posix.dirname(temporary))
    return open()
  }

  async #makeDirectories(path: string): Promise<void> {
    const make = () =>
      this.#sftp.ask<undefined>((sftp, done) => sftp.mkdir(path, (error) => done(error, undefined)))
    try {
      await make()
    } catch (thrown) {
      // `failure` is what an existing one gives; where it is not a directory the next step says so.
      if (isFailure(thrown)) return
      if (fileError(thrown, path).code !== 'not_found' || path === '/') throw thrown
      await this.#makeDirectories(posix.dirname(path))
      await make().catch((again: unknown) => {
        if (!isFailure(again)) throw again
      })
    }
  }

  async #fill(handle: Buffer, bytes: Buffer, mode: number): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; at += block) {
        const length = Math.min(block, bytes.length - at)
        await this.#sftp.ask<undefined>((sftp, done) =>
          sftp.write(handle, bytes, at, length, at, (error) => done(error, undefined)),
        )
      }
      await this.#sftp.ask<undefined>((sftp, done) =>
        sftp.fchmod(handle, mode, (error) => done(error, undefined)),
      )
    } catch (cause) {
      // A write to an open file fails for want of space or quota, or of a working disk.
      if (isFailure(cause)) throw new ForgeError('disk_full', 'no space is left in the sandbox', { cause })
      throw cause
    } finally {
      await this.#close(handle)
    }
  }

  /** Why a file could not be made, where SFTP only says that it failed. */
  async #explain(path: string, thrown: unknown): Promise<unknown> {
    const room = await this.#sftp
      .ask<{ f_bavail: number; f_favail: number; f_files: number; f_flag: number }>((sftp, done) =>
        sftp.ext_openssh_statvfs(posix.dirname(path), done),
      )
      .catch(() => null)
    const readOnly = 1
    if (room !== null && (room.f_flag & readOnly) !== 0)
      return new ForgeError('denied', `${JSON.stringify(posix.dirname(path))} is read-only in the sandbox`, {
        cause: thrown,
      })
    const full = room !== null && (room.f_bavail === 0 || (room.f_files > 0 && room.f_favail === 0))
    return full ? new ForgeError('disk_full', 'no space is left in the sandbox', { cause: thrown }) : thrown
  }

  list(path: string): Promise<{ name: string; stat: FileStat }[]> {
    return this.#on(path, async () => {
      const stats = await this.#sftp.ask<Stats>((sftp, done) => sftp.stat(path, done))
      if (!stats.isDirectory()) throw new ForgeError('conflict', `${JSON.stringify(path)} is not a directory`)
      const handle = await this.#sftp.ask<Buffer>((sftp, done) => sftp.opendir(path, done))
      const entries: { name: string; stat: FileStat }[] = []
      try {
        for (;;) {
          const batch = await this.#readdir(handle)
          if (batch === null) return entries
          entries.push(...batch)
          if (entries.length > mostEntries)
            throw new ForgeError('too_large', `${JSON.stringify(path)} has more than ${mostEntries} entries`)
        }
      } finally {
        await this.#close(handle)
      }
    })
  }

  /** Null at the end. */
  async #readdir(handle: Buffer): Promise<{ name: string; stat: FileStat }[] | null> {
    const endOfFile = 1
    try {
      const batch = await this.#sftp.ask<{ filename: string; attrs: Stats }[]>((sftp, done) =>
        sftp.readdir(handle, done),
      )
      return batch.map(({ filename, attrs }) => ({ name: filename, stat: statOf(attrs) }))
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === endOfFile) return null
      throw thrown
    }
  }

  remove(path: string): Promise<void> {
    return this.#on(path, async () => {
      await this.#lstat(path)
      const process = await this.#exec({ command: quote(['rm', '-rf', '--', path]), env: { LC_ALL: 'C' } })
      const result = await finishRun(process, { maxOutput: 4096 })
      if (result.code === 0) return
      const text = result.stderr.toString()
      const denied = /Permission denied|Operation not permitted|Read-only file system/.test(text)
      throw new ForgeError(
        denied ? 'denied' : 'conflict',
        `${JSON.stringify(path)} could not be removed from the sandbox`,
        { data: { path, detail: text.slice(0, 1000) } },
      )
    })
  }
}

export const wireFiles = (
  session: Session,
  exec: (request: ExecRequest) => Promise<ExecProcess>,
): WireFiles => new Files(session, exec)
