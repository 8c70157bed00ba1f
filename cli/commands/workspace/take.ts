import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import type { Digest, RunId } from '#core/id.ts'
import { saveBlob } from '../../client/blobs.ts'
import { call } from '../../client/call.ts'
import type { Http } from '../../client/http.ts'
import type { Context } from '../../context.ts'
import { safeLine } from '../../output/safe.ts'
import { type Applied, type ApplyRequest, applyWork } from '../../workspace/apply.ts'
import { gitUserOf } from './user.ts'

interface TakeRequest {
  readonly run: RunId
  /** A path of the repository that takes the work. */
  readonly repository: string
  /** Undefined: into the working tree. */
  readonly branch: string | undefined
  /** Moves a branch that is there already. */
  readonly force: boolean
}

/** Takes the work of a run. Throws what `applyWork` does, and `conflict` while there is none. */
export async function takeWork(context: Context, http: Http, request: TakeRequest): Promise<Applied> {
  const diff = await call(http, 'runs.diff', { id: request.run })
  const tmp = await mkdtemp(path.join(tmpdir(), 'forge-'))
  const fetchBlob = async (digest: Digest | null, name: string): Promise<string> => {
    if (digest === null) throw new ForgeError('conflict', `${request.run} has no work to take`)
    const file = path.join(tmp, name)
    await saveBlob(http, digest, createWriteStream(file, { mode: 0o600 }))
    return file
  }
  try {
    if (diff.tip === null || diff.tip === diff.start) return { mode: 'nothing' }
    const how: ApplyRequest['how'] =
      request.branch === undefined
        ? { mode: 'tree', patchPath: await fetchBlob(diff.patch, 'work.patch') }
        : {
            mode: 'branch',
            bundlePath: await fetchBlob(diff.bundle, 'work.bundle'),
            name: request.branch,
            force: request.force,
          }
    return await applyWork({
      repository: path.resolve(context.host.cwd, request.repository),
      diff,
      user: gitUserOf(context.host),
      tmp,
      how,
    })
  } finally {
    await rm(tmp, { recursive: true, force: true })
  }
}

/** What was done, in a line. */
export function takenText(taken: Applied): string {
  if (taken.mode === 'nothing') return 'the run changed nothing'
  if (taken.mode === 'branch')
    return `the work is on branch ${safeLine(taken.branch)}: git log -p ${safeLine(taken.branch)}`
  return `${taken.files} ${taken.files === 1 ? 'file' : 'files'} changed in ${safeLine(taken.path)}, not yet committed`
}
