import { z } from 'zod'
import { Digest, RunId } from '../id.ts'
import { DiffStat } from '../run/run.ts'

export const FileChange = z.object({
  /** Forward slashes, relative to the repository's root. Invalid UTF-8 is replaced by U+FFFD. */
  path: z.string(),
  /** The former path of a renamed or copied file. */
  from: z.string().optional(),
  status: z.enum(['added', 'modified', 'deleted', 'renamed', 'copied', 'type_changed']),
  /** Git's octal modes, `000000` where the file does not exist. */
  oldMode: z.string(),
  newMode: z.string(),
  /** Null for a binary file. */
  insertions: z.number().int().nullable(),
  deletions: z.number().int().nullable(),
  binary: z.boolean(),
})
export type FileChange = z.infer<typeof FileChange>

/** The work of a run. `bundle` and `patch` are blobs (`GET /v1/blobs/DIGEST`); null when nothing changed. */
export const RunDiff = z.object({
  run: RunId,
  branch: z.string(),
  /** The commit the work starts from, and its tip. Equal when nothing changed. */
  start: z.string().nullable(),
  tip: z.string().nullable(),
  /** The user's HEAD at the start: the bundle's prerequisite. Null: the bundle is complete by itself. */
  head: z.string().nullable(),
  stat: DiffStat,
  files: z.array(FileChange),
  bundle: Digest.nullable(),
  patch: Digest.nullable(),
})
export type RunDiff = z.infer<typeof RunDiff>
