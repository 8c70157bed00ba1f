import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import type { ImageRecipe } from './recipe.ts'

/** A file of this host that goes into the image as it is, executable for all. */
export interface HostFile {
  readonly path: string
  readonly source: string
}

/** The recipe's own folders and files as a tar archive that is the same whenever and wherever it is made. */
export async function overlayArchive(recipe: ImageRecipe, hostFiles: readonly HostFile[]): Promise<Buffer> {
  const archive = pack()
  const mtime = new Date(recipe.epoch * 1000)
  const byPath = (one: { path: string }, other: { path: string }) => (one.path < other.path ? -1 : 1)
  for (const { path, mode, uid, gid } of recipe.folders.toSorted(byPath))
    archive.entry({ name: `.${path}/`, type: 'directory', mode, uid, gid, mtime })
  for (const { path, mode, content } of recipe.files.toSorted(byPath))
    archive.entry({ name: `.${path}`, mode, uid: 0, gid: 0, mtime }, content)
  for (const { path, source } of hostFiles.toSorted(byPath))
    archive.entry({ name: `.${path}`, mode: 0o755, uid: 0, gid: 0, mtime }, await readFile(source))
  archive.finalize()
  return buffer(archive)
}
