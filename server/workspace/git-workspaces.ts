import { ForgeError } from '#core/errors.ts'
import type { Clock, Digest } from '#core/id.ts'
import type { RunSource } from '#core/run/run.ts'
import { startRef } from '#core/workspace/bundle.ts'
import type { BlobStore } from '../ledger/blobs.ts'
import { type CaptureLimits, captureWork } from './capture.ts'
import { cloneRepository } from './clone.ts'
import { startGit } from './git.ts'
import { fillWorkTree } from './prepare.ts'
import { makeRepository, openBundle, unpackBundle } from './repository.ts'
import { scratchFolder } from './scratch.ts'
import type { Prepared, Workspaces } from './workspace.ts'

export interface GitWorkspacesOptions {
  readonly blobs: BlobStore
  /** The workspaces' own folder; other users must not be able to write to it. */
  readonly dir: string
  /** The work tree in every sandbox: an existing folder of the agent's. Default `/work`. */
  readonly path?: string
  readonly clock?: Clock
  /** For repositories given by URL: proxy variables, SSH_AUTH_SOCK, HOME. */
  readonly network?: Record<string, string>
  readonly limits?: Partial<CaptureLimits>
}

const gibibyte = 1 << 30
const defaultLimits: CaptureLimits = {
  packBytes: 2 * gibibyte,
  objectBytes: 8 * gibibyte,
  bundleBytes: 2 * gibibyte,
  patchBytes: 512 << 20,
  listedFiles: 20_000,
  timeout: 600_000,
}

/** The bundle that a run starts from, stored as a blob; null for a run without files. */
interface Start {
  readonly digest: Digest
  readonly start: string
  readonly head: string | null
}

/** Repositories travel as git bundles, and come back as what git's own checks and ours accept of them. */
export function gitWorkspaces(options: GitWorkspacesOptions): Workspaces {
  const { blobs, dir } = options
  const limits = { ...defaultLimits, ...options.limits }
  const workTree = options.path ?? '/work'
  const now = () => options.clock?.now() ?? Date.now()
  const scratch = scratchFolder(dir)

  const cloned = (source: RunSource & { kind: 'url' }, signal: AbortSignal): Promise<Start> =>
    scratch.temporary(async (tmp) => {
      const clone = { dir: tmp, maxBytes: limits.packBytes, timeout: limits.timeout, signal }
      const { repository, start } = await cloneRepository(source, {
        ...clone,
        network: options.network ?? {},
      })
      const bundling = startGit(['bundle', 'create', '-q', '-', '--all'], {
        gitDir: repository.gitDir,
        signal,
      })
      const { digest } = await blobs.put(bundling.stdout, limits.packBytes)
      await bundling.done
      return { digest, start, head: start }
    })

  async function startOf(source: RunSource, signal: AbortSignal): Promise<Start | null> {
    if (source.kind === 'none') return null
    if (source.kind === 'url') return cloned(source, signal)
    return { digest: source.digest, start: source.start, head: source.head }
  }

  return {
    async prepare(wire, source, { branch, signal }): Promise<Prepared> {
      const start = await startOf(source, signal)
      const bundle = start && (await openBundle(await blobs.path(start.digest)))
      if (start && bundle?.header.refs.get(startRef) !== start.start)
        throw new ForgeError('repository_invalid', `the git bundle does not start from ${start.start}`)
      const content = start && bundle ? { bundle, start: start.start } : null
      const size = await fillWorkTree(wire, content, {
        path: workTree,
        branch,
        timeout: limits.timeout,
        signal,
      })
      await scratch.remember(branch, { digest: start?.digest ?? null })
      return { path: workTree, start: start?.start ?? null, head: start?.head ?? null, branch, ...size }
    },

    capture: (wire, prepared, { message, signal }) =>
      scratch.temporary(async (tmp) => {
        const { digest } = await scratch.recall(prepared.branch)
        const bundle = digest === null ? null : await openBundle(await blobs.path(digest))
        await using repository = await makeRepository(tmp, bundle?.header.objectFormat ?? 'sha1')
        if (bundle) await unpackBundle(repository, bundle, { signal, timeout: limits.timeout })
        const from = { repository, prepared, blobs }
        return await captureWork(wire, from, { message, now: now(), limits, signal })
      }),

    forget: (branch) => scratch.forget(branch),
  }
}
