import { readFile, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'

/** Where the parts of a repository are; found by reading files, so that nothing in it has a say. */
export interface Repository {
  /** Null for a bare repository. */
  readonly workTree: string | null
  /** Holds HEAD and the index of this work tree. */
  readonly gitDir: string
  /** Holds objects, refs and configuration; differs from `gitDir` in a linked work tree. */
  readonly commonDir: string
}

const isDirectory = async (file: string): Promise<boolean> =>
  (await stat(file).catch(() => null))?.isDirectory() === true

const isGitDir = async (dir: string): Promise<boolean> =>
  (await isDirectory(dir)) &&
  (await stat(path.join(dir, 'HEAD')).catch(() => null)) !== null &&
  ((await isDirectory(path.join(dir, 'objects'))) ||
    (await stat(path.join(dir, 'commondir')).catch(() => null)) !== null)

/** The one line of a small file without its line break, or null. */
async function readLine(file: string): Promise<string | null> {
  const found = await stat(file).catch(() => null)
  if (!found?.isFile() || found.size > 16_384) return null
  return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
}

async function opened(workTree: string | null, gitDir: string): Promise<Repository> {
  const common = await readLine(path.join(gitDir, 'commondir'))
  const commonDir = common === null ? gitDir : path.resolve(gitDir, common)
  if (!(await isDirectory(path.join(commonDir, 'objects'))))
    throw new ForgeError(
      'repository_invalid',
      `${gitDir} belongs to a repository that is not at ${commonDir}`,
      {
        hint: 'git worktree repair',
      },
    )
  return { workTree, gitDir, commonDir }
}

async function openedAt(dir: string): Promise<Repository | null> {
  const dotGit = path.join(dir, '.git')
  if (await isGitDir(dotGit)) return opened(dir, dotGit)
  const line = await readLine(dotGit)
  if (line?.startsWith('gitdir: ')) {
    const gitDir = path.resolve(dir, line.slice('gitdir: '.length))
    if (await isGitDir(gitDir)) return opened(dir, gitDir)
    throw new ForgeError('repository_invalid', `${dotGit} points to ${gitDir}, which is no git repository`)
  }
  if (!(await isGitDir(dir))) return null
  return opened(path.basename(dir) === '.git' ? path.dirname(dir) : null, dir)
}

/** The repository that `directory` is in, or null. Throws `not_found`, `repository_invalid`. */
export async function locateRepository(directory: string): Promise<Repository | null> {
  const start = await realpath(directory).catch(() => null)
  if (start === null || !(await isDirectory(start)))
    throw new ForgeError('not_found', `there is no folder ${directory}`)
  for (let dir = start; ; dir = path.dirname(dir)) {
    const found = await openedAt(dir)
    if (found) return found
    if (path.dirname(dir) === dir) return null
  }
}
