import { realpath } from 'node:fs/promises'
import { ForgeError } from '#core/errors.ts'
import type { FileChange, RunDiff } from '#core/workspace/workspace.ts'
import { applyAsBranch } from './apply-branch.ts'
import { applyPatch } from './apply-tree.ts'
import { locateRepository } from './locate.ts'
import { openScratch } from './scratch.ts'
import type { GitUser } from './settings.ts'

export interface ApplyRequest {
  /** A folder of the user's repository, or a plain folder. */
  readonly repository: string
  readonly diff: RunDiff
  readonly user: GitUser
  /** An own, private folder. */
  readonly tmp: string
  readonly how:
    | { readonly mode: 'tree'; readonly patchPath: string }
    | {
        readonly mode: 'branch'
        readonly bundlePath: string
        readonly name: string
        readonly force?: boolean
      }
  readonly signal?: AbortSignal
}

export type Applied =
  | { readonly mode: 'nothing' }
  | { readonly mode: 'tree'; readonly path: string; readonly files: number }
  | { readonly mode: 'branch'; readonly branch: string; readonly commit: string }

/**
 * Takes the work of a run: as a branch, which is never checked out, or into the working tree, all of it or
 * nothing, unstaged. Neither runs what the repository names; so files that a filter such as LFS rewrites are
 * compared as they lie there, and a changed one is a conflict. Throws `not_found`, `invalid_input`,
 * `conflict`, `apply_conflict`, `repository_invalid`, `interrupted`.
 */
export async function applyWork(request: ApplyRequest): Promise<Applied> {
  const { diff, how, signal } = request
  if (diff.tip === null || diff.tip === diff.start) return { mode: 'nothing' }
  const repository = await locateRepository(request.repository)
  if (how.mode === 'branch') {
    if (!repository)
      throw new ForgeError(
        'invalid_input',
        `${request.repository} is no git repository: it can have no branch`,
        {
          hint: 'apply the work to the files instead',
        },
      )
    const env = { GIT_COMMITTER_NAME: 'Forge', GIT_COMMITTER_EMAIL: 'forge@localhost' }
    const place = { path: request.user.path, gitDir: repository.gitDir, env }
    const { bundlePath, name, force = false } = how
    const made = await applyAsBranch({ repository, place, bundlePath, diff, name, force, signal })
    return { mode: 'branch', ...made }
  }
  if (repository?.workTree === null)
    throw new ForgeError('invalid_input', 'the repository is bare: it has no working tree', {
      hint: 'take the work as a branch',
    })
  const source = repository ? { repository } : { directory: await realpath(request.repository) }
  await using scratch = await openScratch(source, request)
  const workTree = repository?.workTree ?? (await realpath(request.repository))
  const isSubmodule = (file: FileChange) => [file.oldMode, file.newMode].includes('160000')
  const submodules = new Set(diff.files.filter(isSubmodule).map((file) => file.path))
  const options = { tmp: request.tmp, submodules, signal }
  await applyPatch({ ...scratch.place, workTree }, how.patchPath, options)
  return { mode: 'tree', path: workTree, files: diff.stat.files }
}
