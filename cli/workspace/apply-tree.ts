import { createReadStream } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { ForgeError } from '#core/errors.ts'
import { backUp, under } from './backup.ts'
import { type GitPlace, git } from './git.ts'

interface ApplyConflict {
  readonly path: string
  readonly why: string
}

const reasons: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^error: (.*): already exists in working directory$/, 'there is a file of yours in the way'],
  [/^error: (.*): already exists in index$/, 'there is a file of yours in the way'],
  [/^error: (.*): patch does not apply$/, 'you changed it since'],
  [/^error: (.*): No such file or directory$/, 'it is no longer there'],
  [/^error: (.*): wrong type$/, 'it is of another kind now'],
  [/^error: affected file '(.*)' is beyond a symbolic link$/, 'it lies behind a symbolic link'],
  [/^error: (.*): is beyond a symbolic link$/, 'it lies behind a symbolic link'],
  [
    /^error: the patch applies to '(.*)' \(.*\), which does not match the current contents\.$/,
    'you changed it since',
  ],
  [/^error: cannot apply binary patch to '(.*)' without full index line$/, 'its patch is incomplete'],
  [/^error: binary patch does not apply to '(.*)'$/, 'you changed it since'],
  [/^error: invalid path '(.*)'$/, 'its name is not safe'],
  [/^error: (.*): (?:cannot read|failed to read).*$/, 'it cannot be read'],
]

/** `git apply`'s complaints, one for each file. */
function parseConflicts(stderr: string): ApplyConflict[] {
  const found = new Map<string, string>()
  for (const line of stderr.split('\n'))
    for (const [pattern, why] of reasons) {
      const path = pattern.exec(line)?.[1]
      if (path !== undefined && !found.has(path)) found.set(path, why)
    }
  return [...found].map(([path, why]) => ({ path, why }))
}

const quoted = (names: readonly ApplyConflict[]): string => {
  const listed = names.slice(0, 20).map(({ path, why }) => `\n  ${path}: ${why}`)
  return listed.join('') + (names.length > 20 ? `\n  and ${names.length - 20} more` : '')
}

function refusal(conflicts: readonly ApplyConflict[], cause?: ForgeError): ForgeError {
  const what = conflicts.length === 0 ? `: ${cause?.message}` : `:${quoted(conflicts)}`
  return new ForgeError(
    'apply_conflict',
    `nothing was applied, since it would overwrite what is yours${what}`,
    {
      hint: 'commit or move these files away and apply again, or take the work as a branch and merge it',
      data: { files: conflicts.map(({ path }) => path), conflicts },
      cause,
    },
  )
}

/** Every path that the patch writes or removes: renamed files have two. */
async function namesIn(apply: (more: string[]) => Promise<Buffer>): Promise<Buffer[]> {
  const names = new Map<string, Buffer>()
  for (const more of [[], ['-R']]) {
    const listed = await apply(['--numstat', '-z', ...more])
    for (let from = 0; from < listed.length; ) {
      const end = listed.indexOf(0, from)
      const record = listed.subarray(from, end)
      const name = record.subarray(record.indexOf(9, record.indexOf(9) + 1) + 1)
      names.set(name.toString('latin1'), name)
      from = end + 1
    }
  }
  return [...names.values()]
}

/** Files where the patch needs a folder, and the other way round, which git sees only once it writes. */
async function blockers(
  root: string,
  names: readonly Buffer[],
  submodules: ReadonlySet<string>,
): Promise<ApplyConflict[]> {
  const own = new Set(names.map((name) => name.toString('latin1')))
  const checked = new Set<string>()
  const found: ApplyConflict[] = []
  for (const name of names)
    for (let at = name.indexOf(0x2f); at >= 0; at = name.indexOf(0x2f, at + 1)) {
      const parent = name.subarray(0, at)
      const key = parent.toString('latin1')
      if (checked.has(key)) continue
      checked.add(key)
      const stat = await lstat(under(root, parent)).catch(() => null)
      if (stat && !stat.isDirectory() && !own.has(key))
        found.push({ path: parent.toString('utf8'), why: 'it is a file where a folder is needed' })
    }
  for (const name of names) {
    const shown = name.toString('utf8')
    const entries = await readdir(under(root, name)).catch(() => [])
    if (entries.length > 0 && !submodules.has(shown) && !checked.has(name.toString('latin1')))
      found.push({ path: shown, why: 'there is a folder of yours in the way' })
  }
  return found
}

/**
 * Applies the patch to the work tree of `place`, whose GIT_DIR is our own: no filter, hook or index of the
 * user's takes part, and what changed is left unstaged. Everything is checked before the first file is written,
 * and put back when writing fails. Throws `apply_conflict` (its `data.files` are the paths); then nothing has
 * changed.
 */
export async function applyPatch(
  place: GitPlace & { readonly workTree: string },
  patchPath: string,
  options: { tmp: string; submodules: ReadonlySet<string>; signal: AbortSignal | undefined },
): Promise<void> {
  const { signal } = options
  const apply = (more: string[]) =>
    git(place, ['apply', '--whitespace=nowarn', ...more, '-'], {
      input: createReadStream(patchPath),
      maxOutput: 256 << 20,
      signal,
    })
  const refused = (cause: unknown): never => {
    if (!(cause instanceof ForgeError) || cause.code !== 'repository_invalid') throw cause
    throw refusal(parseConflicts(String(cause.data?.stderr ?? '')), cause)
  }
  await apply(['--check']).catch(refused)
  const names = await namesIn(apply)
  const inTheWay = await blockers(place.workTree, names, options.submodules)
  if (inTheWay.length > 0) throw refusal(inTheWay)
  await using backup = await backUp(place.workTree, names, options.tmp)
  await apply([]).catch(async (cause: unknown) => {
    await backup.restore()
    throw ForgeError.from(cause).code === 'repository_invalid'
      ? new ForgeError('apply_conflict', `nothing was applied: ${ForgeError.from(cause).message}`, {
          hint: 'make room, or let you write to these files, and apply again',
          cause,
        })
      : cause
  })
}
