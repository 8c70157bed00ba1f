import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { RunSource } from '#core/run/run.ts'
import { uploadBlob } from '../../client/blobs.ts'
import type { Http } from '../../client/http.ts'
import type { Context } from '../../context.ts'
import { safeLine } from '../../output/safe.ts'
import { snapshotRepository } from '../../workspace/snapshot.ts'
import { gitUserOf } from '../workspace/user.ts'

/** `https://…`, `ssh://…`, `git@host:path`. */
const isUrl = (text: string): boolean =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^[\w.-]+@[\w.-]+:(?!\/\/)/.test(text)

/** Where the sandbox's work tree comes from: a URL, or a path's repository, which is packed and uploaded. */
export async function sourceFrom(
  context: Context,
  http: Http,
  { repo, signal }: { repo: string | undefined; signal: AbortSignal },
): Promise<RunSource> {
  if (repo !== undefined && isUrl(repo)) return { kind: 'url', url: repo }
  const directory = path.resolve(context.host.cwd, repo ?? '.')
  const tmp = await mkdtemp(path.join(tmpdir(), 'forge-'))
  try {
    const snapshot = await snapshotRepository(directory, {
      tmp,
      signal,
      user: gitUserOf(context.host),
      ...(context.host.tty.stderr
        ? { onProgress: (line) => context.note(context.errStyle.dim(safeLine(line))) }
        : {}),
    })
    if (snapshot.kind === 'none') {
      context.note(`there is nothing to take from ${directory}: the agent starts in an empty folder`)
      return { kind: 'none' }
    }
    const { bundlePath, ...rest } = snapshot
    const { digest } = await uploadBlob(http, bundlePath, signal)
    return { ...rest, digest }
  } finally {
    await rm(tmp, { recursive: true, force: true })
  }
}
