import { ForgeError } from '#core/errors.ts'
import type { Digest } from '#core/id.ts'
import type { BlobStore } from '../ledger/blobs.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { diffArgs, fileChanges } from './changes.ts'
import { type GitOptions, neutralGit, startGit } from './git.ts'
import { hostileMemory, type Received, type ReceiveLimits, receiveWork } from './receive.ts'
import type { Repository } from './repository.ts'
import { settleWork } from './settle.ts'
import type { Captured, Prepared } from './workspace.ts'

export interface CaptureLimits extends ReceiveLimits {
  readonly bundleBytes: number
  readonly patchBytes: number
  /** How many changed files are listed; the statistics count all. */
  readonly listedFiles: number
}

const nothing = { files: 0, insertions: 0, deletions: 0 }

/** With the agent's commits when git accepts them, else only the files as they are now. */
async function receive(
  wire: Wire,
  from: { repository: Repository; prepared: Prepared },
  options: { limits: ReceiveLimits; signal: AbortSignal },
): Promise<Received & { warnings: string[] }> {
  const { repository, prepared } = from
  const into = { repository, path: prepared.path, start: prepared.start }
  try {
    return { ...(await receiveWork(wire, { ...into, mode: 'keep' }, options)), warnings: [] }
  } catch (thrown) {
    const error = ForgeError.from(thrown)
    if (error.code !== 'repository_invalid') throw error
    const again = await receiveWork(wire, { ...into, mode: 'rebuild' }, options)
    const why = `the agent's own commits were left behind, its files are kept: ${error.message}`
    return { ...again, warnings: [why] }
  }
}

async function store(
  blobs: BlobStore,
  args: string[],
  options: GitOptions & { maxBytes: number },
): Promise<Digest> {
  const { maxBytes, ...git } = options
  const running = startGit(args, git)
  const { digest } = await blobs.put(running.stdout, maxBytes)
  await running.done
  return digest
}

/** Brings the work out of the sandbox into `repository`, which has the start's objects, and describes it. */
export async function captureWork(
  wire: Wire,
  from: { repository: Repository; prepared: Prepared; blobs: BlobStore },
  options: { message: string; now: number; limits: CaptureLimits; signal: AbortSignal },
): Promise<Captured> {
  const { repository, prepared, blobs } = from
  const { limits, signal } = options
  const git: GitOptions = {
    gitDir: repository.gitDir,
    env: hostileMemory,
    timeout: limits.timeout,
    signal,
  }
  const received = await receive(wire, from, options)
  const work = { start: prepared.start, message: options.message, now: options.now }
  const { tip, warnings: settled } = await settleWork(received, work, git)
  const warnings = [...received.warnings, ...settled]
  if (tip === null || tip === prepared.start)
    return { tip, stat: nothing, files: [], bundle: null, patch: null, warnings }
  const { files, stat } = await fileChanges(prepared.start, tip, { ...git, maxOutput: 256 << 20 })
  if (files.length > limits.listedFiles)
    warnings.push(`${files.length} files changed; the first ${limits.listedFiles} are listed`)
  await neutralGit(['update-ref', `refs/heads/${prepared.branch}`, tip], git)
  const range = [`refs/heads/${prepared.branch}`, ...(prepared.head === null ? [] : [`^${prepared.head}`])]
  const bundle = await store(blobs, ['bundle', 'create', '-q', '-', ...range], {
    ...git,
    maxBytes: limits.bundleBytes,
  })
  const patchArgs = diffArgs(prepared.start, tip, ['-p', '--binary', '--full-index'])
  const patch = await store(blobs, patchArgs, { ...git, maxBytes: limits.patchBytes }).catch(
    (error: unknown) => {
      if (ForgeError.from(error).code !== 'too_large') throw error
      warnings.push('the work is too large for a patch: take it as a branch')
      return null
    },
  )
  return { tip, stat, files: files.slice(0, limits.listedFiles), bundle, patch, warnings }
}
