import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { Digest } from '#core/id.ts'

/** What a later capture, perhaps by another process, must know of a run's start. */
const Origin = z.object({
  /** The bundle that it began with; null for a run without files. */
  digest: Digest.nullable(),
})
type Origin = z.infer<typeof Origin>

/** The workspaces' own folder on the server. */
interface ScratchFolder {
  /** Gives `work` a folder that is gone afterwards. */
  temporary<T>(work: (dir: string) => Promise<T>): Promise<T>
  remember(branch: string, origin: Origin): Promise<void>
  /** Throws `not_found`. */
  recall(branch: string): Promise<Origin>
  /** Idempotent. */
  forget(branch: string): Promise<void>
}

export function scratchFolder(dir: string): ScratchFolder {
  const tmp = path.join(dir, 'tmp')
  const originFile = (branch: string) => path.join(dir, 'origins', `${encodeURIComponent(branch)}.json`)
  let swept: Promise<void> | undefined
  return {
    async temporary(work) {
      // Only one server uses the folder: what is there before the first use was left by a crash.
      swept ??= rm(tmp, { recursive: true, force: true })
      await swept
      await mkdir(tmp, { recursive: true, mode: 0o700 })
      const made = await mkdtemp(path.join(tmp, 'workspace-'))
      try {
        return await work(made)
      } finally {
        await rm(made, { recursive: true, force: true })
      }
    },

    async remember(branch, origin) {
      const file = originFile(branch)
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
      await writeFile(`${file}.new`, JSON.stringify(origin))
      await rename(`${file}.new`, file)
    },

    async recall(branch) {
      const text = await readFile(originFile(branch), 'utf8').catch(() => null)
      if (text === null) throw new ForgeError('not_found', `nothing is known of how ${branch} started`)
      return Origin.parse(JSON.parse(text))
    },

    forget: (branch) => rm(originFile(branch), { force: true }),
  }
}
