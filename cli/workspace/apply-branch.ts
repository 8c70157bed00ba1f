import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { ForgeError } from '#core/errors.ts'
import { type BundleHeader, maxHeaderBytes, parseBundleHeader } from '#core/workspace/bundle.ts'
import type { RunDiff } from '#core/workspace/workspace.ts'
import { type GitPlace, git, gitText } from './git.ts'
import type { Repository } from './locate.ts'

interface BranchRequest {
  readonly repository: Repository
  readonly place: GitPlace
  readonly bundlePath: string
  readonly diff: RunDiff
  readonly name: string
  readonly force: boolean
  readonly signal: AbortSignal | undefined
}

async function readHeader(file: string): Promise<BundleHeader> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxHeaderBytes), 0, maxHeaderBytes, 0)
    const header = parseBundleHeader(buffer.subarray(0, bytesRead))
    if (header) return header
    throw new ForgeError('repository_invalid', 'the work cannot be read: its header does not end')
  } finally {
    await handle.close()
  }
}

/** The object that a ref names, or null. */
const resolve = (place: GitPlace, name: string): Promise<string | null> =>
  gitText(place, ['rev-parse', '-q', '--verify', name]).catch((error: unknown) => {
    if (error instanceof ForgeError && error.data?.exitCode === 1) return null
    throw error
  })

/** `worktrees/NAME/HEAD` of every linked work tree, and HEAD itself. */
async function checkedOut({ commonDir, place }: { commonDir: string; place: GitPlace }): Promise<string[]> {
  const listed = await gitText(place, ['worktree', 'list', '--porcelain'])
  const main = await readFile(`${commonDir}/HEAD`, 'utf8').catch(() => '')
  const lines = [...listed.split('\n'), main.replace(/^ref: /, 'branch ')]
  return lines.filter((line) => line.startsWith('branch ')).map((line) => line.slice('branch '.length).trim())
}

async function assertBranchFree(request: BranchRequest, ref: string, tip: string): Promise<string | null> {
  const { place, name, force, repository } = request
  const old = await resolve(place, ref)
  if (old === null || old === tip) return old
  if (!force)
    throw new ForgeError('conflict', `there is a branch ${name} already, with other commits`, {
      hint: 'choose another name',
      data: { branch: name, commit: old },
    })
  if ((await checkedOut({ commonDir: repository.commonDir, place })).includes(ref))
    throw new ForgeError('conflict', `the branch ${name} is checked out`, { hint: 'choose another name' })
  return old
}

/**
 * Puts the run's commits into the user's repository under a branch, and nothing else: no checkout, no hook, no
 * remote, no other ref. Throws `invalid_input` for a bad name, `conflict`, `repository_invalid`.
 */
export async function applyAsBranch(request: BranchRequest): Promise<{ branch: string; commit: string }> {
  const { place, diff, name, signal } = request
  const ref = `refs/heads/${name}`
  const badName = () => new ForgeError('invalid_input', `${JSON.stringify(name)} is no name for a branch`)
  // These two are refs by name and something else on every command line.
  if (name.startsWith('-') || name === '@' || name === 'HEAD' || name.includes('\0')) throw badName()
  await git(place, ['check-ref-format', ref]).catch(() => {
    throw badName()
  })
  const header = await readHeader(request.bundlePath)
  const [tip, ...others] = header.refs.values()
  if (tip === undefined || tip !== diff.tip || others.length > 0)
    throw new ForgeError('repository_invalid', 'the work is not the one that the run ended with')
  for (const commit of header.prerequisites)
    if ((await gitText(place, ['cat-file', '-t', commit]).catch(() => '')) !== 'commit')
      throw new ForgeError(
        'conflict',
        `this repository does not have the commit ${commit} that the run started from`,
        {
          hint: 'apply it in the repository that the run was started in, or fetch that commit first',
          data: { commit },
        },
      )
  const old = await assertBranchFree(request, ref, tip)
  const input = createReadStream(request.bundlePath, { start: header.packOffset })
  await git(place, ['index-pack', '--stdin', '--fix-thin', '--strict'], { input, signal })
  const known = header.prerequisites.map((commit) => `^${commit}`)
  await git(place, ['rev-list', '--objects', '--quiet', tip, ...known, '--'], { signal })
  const message = `forge: ${diff.run}`
  // The old value, so that a branch that somebody makes or moves meanwhile is not overwritten.
  await git(place, ['update-ref', '-m', message, ref, tip, old ?? '0'.repeat(tip.length)], { signal })
  return { branch: name, commit: tip }
}
