import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import {
  type BundleHeader,
  maxHeaderBytes,
  parseBundleHeader,
  shallowCommits,
} from '#core/workspace/bundle.ts'
import { type GitOptions, neutralGit } from './git.ts'

type ObjectFormat = BundleHeader['objectFormat']

/** A fresh bare repository on the server's disk, with no configuration but what git needs to read it. */
export interface Repository extends AsyncDisposable {
  readonly gitDir: string
  readonly objectFormat: ObjectFormat
}

export async function makeRepository(dir: string, objectFormat: ObjectFormat): Promise<Repository> {
  const gitDir = path.join(dir, `${randomBytes(8).toString('hex')}.git`)
  for (const each of ['objects/info', 'objects/pack', 'refs/heads'])
    await mkdir(path.join(gitDir, each), { recursive: true, mode: 0o700 })
  const extension = objectFormat === 'sha1' ? '' : `[extensions]\n\tobjectformat = ${objectFormat}\n`
  const version = objectFormat === 'sha1' ? 0 : 1
  const core = `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n\tfsync = none\n`
  await writeFile(path.join(gitDir, 'config'), core + extension)
  await writeFile(path.join(gitDir, 'HEAD'), 'ref: refs/heads/none\n')
  return {
    gitDir,
    objectFormat,
    [Symbol.asyncDispose]: () => rm(gitDir, { recursive: true, force: true }),
  }
}

/** A snapshot's bundle on disk, checked as far as its header goes. */
export interface BundleFile {
  readonly file: string
  readonly header: BundleHeader
  readonly shallow: readonly string[]
}

/** Throws `repository_invalid`. */
export async function openBundle(file: string): Promise<BundleFile> {
  const handle = await open(file, 'r')
  try {
    let bytes = Buffer.alloc(0)
    for (let size = 65_536; ; size *= 2) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0)
      bytes = buffer.subarray(0, bytesRead)
      const header = parseBundleHeader(bytes)
      if (header) {
        if (header.prerequisites.length > 0)
          throw new ForgeError('repository_invalid', 'the git bundle needs commits that it does not hold')
        return { file, header, shallow: shallowCommits(header) }
      }
      if (bytesRead < size || size > maxHeaderBytes)
        throw new ForgeError('repository_invalid', 'the git bundle cannot be read: its header does not end')
    }
  } finally {
    await handle.close()
  }
}

export const openPack = (bundle: BundleFile) =>
  createReadStream(bundle.file, { start: bundle.header.packOffset })

export const shallowText = (bundle: BundleFile): string =>
  bundle.shallow.map((commit) => `${commit}\n`).join('')

/** Its objects are the user's own history, which may be as old and odd as it likes: they are not judged. */
export async function unpackBundle(
  repository: Repository,
  bundle: BundleFile,
  options: GitOptions,
): Promise<void> {
  if (bundle.shallow.length > 0) await writeFile(path.join(repository.gitDir, 'shallow'), shallowText(bundle))
  await neutralGit(['index-pack', '--stdin'], {
    ...options,
    gitDir: repository.gitDir,
    input: openPack(bundle),
  })
}
