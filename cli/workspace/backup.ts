import { constants, type Stats } from 'node:fs'
import { copyFile, lstat, mkdtemp, readlink, rm, rmdir, symlink, utimes } from 'node:fs/promises'
import path from 'node:path'

type Kept =
  | { readonly kind: 'missing'; readonly file: Buffer }
  | { readonly kind: 'file'; readonly file: Buffer; readonly copy: string; readonly stat: Stats }
  | { readonly kind: 'symlink'; readonly file: Buffer; readonly target: Buffer }

/** What the files that are about to be written are now. */
interface Backup extends AsyncDisposable {
  /** Puts each of them back. */
  restore(): Promise<void>
}

const slash = Buffer.from('/')

export const under = (root: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(root), slash, name])

const parentOf = (file: Buffer): Buffer => file.subarray(0, file.lastIndexOf(0x2f))

async function keep(file: Buffer, copy: string): Promise<Kept | null> {
  const stat = await lstat(file).catch(() => null)
  if (stat === null) return { kind: 'missing', file }
  if (stat.isSymbolicLink())
    return { kind: 'symlink', file, target: await readlink(file, { encoding: 'buffer' }) }
  if (!stat.isFile()) return null
  await copyFile(file, copy, constants.COPYFILE_FICLONE)
  return { kind: 'file', file, copy, stat }
}

async function putBack(kept: Kept, root: string): Promise<void> {
  await rm(kept.file, { force: true })
  if (kept.kind === 'file') {
    await copyFile(kept.copy, kept.file, constants.COPYFILE_FICLONE)
    await utimes(kept.file, kept.stat.atime, kept.stat.mtime)
  }
  if (kept.kind === 'symlink') await symlink(kept.target, kept.file)
  if (kept.kind !== 'missing') return
  // Folders that were made for it; one that holds anything stays.
  for (let dir = parentOf(kept.file); dir.length > root.length; dir = parentOf(dir))
    if (
      !(await rmdir(dir).then(
        () => true,
        () => false,
      ))
    )
      return
}

/** Copies the named files of a work tree into a folder below `tmp`. */
export async function backUp(root: string, names: readonly Buffer[], tmp: string): Promise<Backup> {
  const dir = await mkdtemp(path.join(tmp, 'backup-'))
  const kept: Kept[] = []
  for (const [index, name] of names.entries()) {
    const one = await keep(under(root, name), path.join(dir, String(index)))
    if (one) kept.push(one)
  }
  return {
    async restore() {
      // What was not there makes room for what was.
      for (const one of kept.filter(({ kind }) => kind === 'missing')) await putBack(one, root)
      for (const one of kept.filter(({ kind }) => kind !== 'missing')) await putBack(one, root)
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
