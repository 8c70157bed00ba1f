import { randomBytes } from 'node:crypto'
import { realpath, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { shallowPrefix, startRef } from '#core/workspace/bundle.ts'
import { assertBounded, findChanges, writeTree } from './changes.ts'
import { type GitPlace, git, gitText } from './git.ts'
import { historyCut } from './history.ts'
import { locateRepository, type Repository } from './locate.ts'
import { openScratch } from './scratch.ts'
import type { GitUser } from './settings.ts'

interface SnapshotOptions {
  /** An own, private folder; the bundle is left in it. */
  readonly tmp: string
  readonly user: GitUser
  /** A line for people at each longer step. */
  readonly onProgress?: (line: string) => void
  readonly signal?: AbortSignal
}

export type Snapshot =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'bundle'
      readonly bundlePath: string
      /** Holds the uncommitted changes when there are any, else it is HEAD. */
      readonly start: string
      readonly head: string | null
      readonly branch: string | null
      /** The root of the work tree. */
      readonly path: string
      readonly origin?: string
    }

/** What is not committed, and a whole plain folder, may be so large. */
const repositoryLimits = { files: 500_000, bytes: 2 * (1 << 30) }
const directoryLimits = { files: 20_000, bytes: 256 << 20 }

const identity = (now: number) => ({
  GIT_AUTHOR_NAME: 'Forge',
  GIT_AUTHOR_EMAIL: 'forge@localhost',
  GIT_AUTHOR_DATE: `${Math.floor(now / 1000)} +0000`,
  GIT_COMMITTER_NAME: 'Forge',
  GIT_COMMITTER_EMAIL: 'forge@localhost',
  GIT_COMMITTER_DATE: `${Math.floor(now / 1000)} +0000`,
})

/** HEAD as the repository itself resolves it: no command of ours that reads its contents runs there. */
async function readHead(
  repository: Repository,
  user: GitUser,
): Promise<{ head: string | null; branch: string | null }> {
  const place: GitPlace = { path: user.path, gitDir: repository.gitDir }
  const orNull = (error: unknown): null => {
    if (error instanceof ForgeError && error.data?.exitCode === 1) return null
    throw error
  }
  const ref = await gitText(place, ['symbolic-ref', '-q', 'HEAD']).catch(orNull)
  const head = await gitText(place, ['rev-parse', '-q', '--verify', 'HEAD']).catch(orNull)
  return { head, branch: ref?.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : null }
}

async function commitTree(place: GitPlace, tree: string, head: string | null): Promise<string | null> {
  const old = head === null ? null : await gitText(place, ['rev-parse', '--verify', `${head}^{tree}`])
  if (tree === old) return head
  const empty = await gitText(place, ['hash-object', '-t', 'tree', '--stdin'])
  if (head === null && tree === empty) return null
  const message =
    head === null ? 'Files at the start of the run' : 'Uncommitted changes at the start of the run'
  const parents = head === null ? [] : ['-p', head]
  const env = { ...place.env, ...identity(Date.now()) }
  return gitText({ ...place, env }, ['commit-tree', tree, ...parents, '-m', message])
}

async function writeBundle(
  place: GitPlace,
  commits: { start: string; cut: readonly string[] },
  options: SnapshotOptions,
): Promise<string> {
  const gitDir = place.gitDir ?? ''
  const refs = [`${commits.start} ${startRef}`, ...commits.cut.map((cut) => `${cut} ${shallowPrefix}${cut}`)]
  await writeFile(path.join(gitDir, 'packed-refs'), `${refs.join('\n')}\n`)
  if (commits.cut.length > 0) await writeFile(path.join(gitDir, 'shallow'), `${commits.cut.join('\n')}\n`)
  const bundlePath = path.join(options.tmp, `${randomBytes(8).toString('hex')}.bundle`)
  await git(place, ['bundle', 'create', '-q', bundlePath, '--all'], { signal: options.signal })
  return bundlePath
}

async function snapshotDirectory(directory: string, options: SnapshotOptions): Promise<Snapshot> {
  const root = await realpath(directory)
  const home = await realpath(options.user.home).catch(() => options.user.home)
  if (home === root || home.startsWith(root === '/' ? '/' : `${root}/`)) {
    options.onProgress?.(`${root} holds your home folder and is no repository: the run starts without files`)
    return { kind: 'none' }
  }
  await using scratch = await openScratch({ directory: root }, options)
  const changes = await findChanges(scratch.place, options.signal)
  await assertBounded(scratch.place, changes, { ...directoryLimits, signal: options.signal })
  const tree = await writeTree(scratch.place, changes, options.signal)
  const start = await commitTree(scratch.place, tree, null)
  if (start === null) return { kind: 'none' }
  const bundlePath = await writeBundle(scratch.place, { start, cut: [] }, options)
  return { kind: 'bundle', bundlePath, start, head: null, branch: null, path: root }
}

/**
 * Puts the repository that `directory` is in (HEAD, some history, and on top a commit with everything that is
 * neither committed nor ignored) into a git bundle. Without a repository, the folder's own files; `none` when
 * there are no files, or the folder holds the user's home. Writes nothing but into `tmp` and runs nothing that
 * the repository names: filters are not run either, so a changed LFS file travels with its content, an
 * unchanged one as its pointer. Submodules travel as the commit that they are at, without their files.
 * Throws `not_found`, `repository_invalid`, `too_large`, `interrupted`.
 */
export async function snapshotRepository(directory: string, options: SnapshotOptions): Promise<Snapshot> {
  const repository = await locateRepository(directory)
  if (!repository) return snapshotDirectory(directory, options)
  const { signal } = options
  const { head, branch } = await readHead(repository, options.user)
  await using scratch = await openScratch({ repository }, options)
  const { place } = scratch
  let start = head
  if (repository.workTree !== null) {
    options.onProgress?.('looking for uncommitted changes')
    const changes = await findChanges(place, signal)
    await assertBounded(place, changes, { ...repositoryLimits, signal })
    start = await commitTree(place, await writeTree(place, changes, signal), head)
  }
  if (start === null) return { kind: 'none' }
  options.onProgress?.('packing the repository')
  const objects = path.join(repository.commonDir, 'objects')
  const cut = head === null ? [] : await historyCut(place, head, { objects, signal })
  const bundlePath = await writeBundle(place, { start, cut }, options).catch(async (cause: unknown) => {
    throw await explain(cause, repository)
  })
  const origin = scratch.origin === undefined ? {} : { origin: scratch.origin }
  return {
    kind: 'bundle',
    bundlePath,
    start,
    head,
    branch,
    path: repository.workTree ?? repository.gitDir,
    ...origin,
  }
}

async function explain(cause: unknown, repository: Repository): Promise<unknown> {
  if (!(cause instanceof ForgeError) || cause.code !== 'repository_invalid') return cause
  const shown = repository.workTree ?? repository.gitDir
  return new ForgeError('repository_invalid', `${shown} has objects missing or broken: ${cause.message}`, {
    hint: 'in a partial clone run git fetch --refetch; otherwise git fsck says what is wrong',
    cause,
  })
}
