import { copyFile, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { GitPlace } from './git.ts'
import type { Repository } from './locate.ts'
import { type GitUser, repositorySettings, userSettings } from './settings.ts'

/**
 * A GIT_DIR of our own over the user's work tree and objects. Commands in it read the user's files and
 * write nothing of theirs, and no configuration but ours decides what they run.
 */
interface Scratch extends AsyncDisposable {
  readonly place: GitPlace
  readonly gitDir: string
  readonly origin: string | undefined
}

/** As `objects/info/alternates` wants it: quoted, since a path may begin with `#` or `"` or hold a line break. */
function quoteAlternate(dir: string): string {
  const escaped: { readonly [character: string]: string } = { '\n': '\\n', '"': '\\"', '\\': '\\\\' }
  return `"${dir.replace(/[\n"\\]/g, (character) => escaped[character] ?? character)}"`
}

const copyIfThere = (from: string, to: string): Promise<boolean> =>
  copyFile(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    },
  )

/** So that unchanged files need not be read again, and pointers of filtered files stay pointers. */
async function copyIndex(from: string, to: string): Promise<void> {
  const index = path.join(to, 'index')
  if (!(await copyIfThere(path.join(from, 'index'), index))) return
  for (const name of await readdir(from))
    if (name.startsWith('sharedindex.')) await copyIfThere(path.join(from, name), path.join(to, name))
  // Git looks into files changed at or after the index's own time: a later one would hide changes.
  const seconds = Math.floor((await stat(path.join(from, 'index'))).mtimeMs / 1000)
  await utimes(index, seconds, seconds)
}

async function fill(gitDir: string, objectFormat: string, repository: Repository | null): Promise<void> {
  for (const dir of ['objects/info', 'objects/pack', 'refs/heads', 'info'])
    await mkdir(path.join(gitDir, dir), { recursive: true })
  const format = objectFormat === 'sha1' ? '' : `[extensions]\n\tobjectformat = ${objectFormat}\n`
  const version = objectFormat === 'sha1' ? 0 : 1
  await writeFile(path.join(gitDir, 'config'), `[core]\n\trepositoryformatversion = ${version}\n${format}`)
  await writeFile(path.join(gitDir, 'HEAD'), 'ref: refs/heads/none\n')
  if (!repository) return
  const objects = path.join(repository.commonDir, 'objects')
  await writeFile(path.join(gitDir, 'objects/info/alternates'), `${quoteAlternate(objects)}\n`)
  for (const name of ['shallow', 'info/exclude'])
    await copyIfThere(path.join(repository.commonDir, name), path.join(gitDir, name))
  await copyIndex(repository.gitDir, gitDir)
}

/** `directory` stands for a plain folder, which is read as the work tree of an empty repository. */
export async function openScratch(
  source: { repository: Repository } | { directory: string },
  options: { tmp: string; user: GitUser },
): Promise<Scratch> {
  const repository = 'repository' in source ? source.repository : null
  const dir = await mkdtemp(path.join(options.tmp, 'scratch-'))
  const remove = () => rm(dir, { recursive: true, force: true })
  try {
    const own = repository ? await repositorySettings(repository, options.user) : null
    const gitDir = path.join(dir, 'git')
    await fill(gitDir, own?.objectFormat ?? 'sha1', repository)
    const workTree = 'directory' in source ? source.directory : source.repository.workTree
    return {
      gitDir,
      origin: own?.origin,
      place: {
        path: options.user.path,
        gitDir,
        ...(workTree === null ? {} : { workTree }),
        settings: [
          ...(await userSettings(options.user)),
          ...(own?.reading ?? []),
          // It is thrown away soon: speed counts, not size or durability.
          ['core.fsync', 'none'],
          ['core.looseCompression', '0'],
          ['pack.compression', '1'],
          ['pack.window', '0'],
        ],
      },
      [Symbol.asyncDispose]: remove,
    }
  } catch (error) {
    await remove()
    throw error
  }
}
