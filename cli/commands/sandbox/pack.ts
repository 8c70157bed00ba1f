import { once } from 'node:events'
import { createReadStream, type Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { type Header, type Pack, pack } from 'tar-stream'
import { ForgeError } from '#core/errors.ts'
import type { Transferred } from './transferred.ts'

type HeaderArgument = Partial<Header> & Pick<Header, 'name'>

interface Count {
  files: number
  bytes: number
  skipped: string[]
}

/** A tar stream of a file or folder under `name`. Sockets, pipes and devices are left out. Throws `not_found`. */
export async function packTree(
  source: string,
  name: string,
): Promise<{ stream: Readable; counted: () => Transferred }> {
  const first = await lstat(source).catch((cause: NodeJS.ErrnoException) => {
    throw new ForgeError(cause.code === 'ENOENT' ? 'not_found' : 'denied', `${source}: ${cause.message}`, {
      cause,
    })
  })
  const archive = pack()
  const count: Count = { files: 0, bytes: 0, skipped: [] }
  add(archive, { source, name, stat: first, count }).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  return { stream: Readable.from(archive), counted: () => count }
}

interface Item {
  readonly source: string
  readonly name: string
  readonly stat: Stats
  readonly count: Count
}

async function add(archive: Pack, item: Item): Promise<void> {
  const { source, name, stat, count } = item
  const header = { name, mode: stat.mode & 0o777, mtime: stat.mtime }
  if (stat.isDirectory()) {
    await entry(archive, { ...header, type: 'directory' })
    for (const child of (await readdir(source)).sort()) {
      const childSource = path.join(source, child)
      await add(archive, {
        source: childSource,
        name: `${name}/${child}`,
        stat: await lstat(childSource),
        count,
      })
    }
  } else if (stat.isSymbolicLink()) {
    await entry(archive, { ...header, type: 'symlink', linkname: await readlink(source) })
    count.files++
  } else if (stat.isFile()) {
    // The header says how long the file is: one that grows meanwhile is cut there, one that shrinks is an error.
    const content = archive.entry({ ...header, type: 'file', size: stat.size })
    if (stat.size === 0) content.end(null)
    else {
      for await (const chunk of createReadStream(source, { end: stat.size - 1 }))
        if (!content.write(chunk)) await once(content, 'drain')
      content.end(null)
    }
    count.files++
    count.bytes += stat.size
  } else count.skipped.push(`${source}: not a file, a folder or a link`)
}

const entry = (archive: Pack, header: HeaderArgument): Promise<void> =>
  new Promise((resolve, reject) => archive.entry(header, (error) => (error ? reject(error) : resolve())))
