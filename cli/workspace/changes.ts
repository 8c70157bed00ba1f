import { lstatSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { type GitPlace, git } from './git.ts'

/** Paths as git gave them: bytes, since a file name need not be UTF-8. */
interface Changes {
  readonly changed: readonly Buffer[]
  readonly deleted: readonly Buffer[]
}

/** Names alone of 50,000 files are a few megabytes. */
const listing = 256 << 20

function splitNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0, from)
    parts.push(bytes.subarray(from, end < 0 ? bytes.length : end))
    from = end < 0 ? bytes.length : end + 1
  }
  return parts
}

const isGitlink = (staged: Buffer): boolean => staged.toString('latin1', 0, 7) === '160000 '

/** What the work tree has that the index has not. Nested repositories that nobody tracks are left out. */
export async function findChanges(place: GitPlace, signal: AbortSignal | undefined): Promise<Changes> {
  const options = { maxOutput: listing, signal }
  // `--ignore-submodules` keeps git from running `git status`, and so filters, in each of them.
  const differing = await git(
    place,
    ['diff-files', '-z', '--name-status', '--no-ext-diff', '--ignore-submodules=all'],
    options,
  )
  const untracked = splitNul(await git(place, ['ls-files', '-z', '-o', '--exclude-standard'], options))
  const staged = splitNul(await git(place, ['ls-files', '-z', '-s'], options))
  const changed = new Map<string, Buffer>()
  const deleted: Buffer[] = []
  const fields = splitNul(differing)
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at + 1] as Buffer
    if (fields[at]?.toString('latin1') === 'D') deleted.push(name)
    else changed.set(name.toString('latin1'), name)
  }
  for (const name of untracked) if (name.at(-1) !== 0x2f) changed.set(name.toString('latin1'), name)
  for (const entry of staged.filter(isGitlink)) {
    const name = entry.subarray(entry.indexOf(9) + 1)
    if (statOf(place, Buffer.concat([name, Buffer.from('/.git')]))) changed.set(name.toString('latin1'), name)
  }
  return { changed: [...changed.values()], deleted }
}

const statOf = (place: GitPlace, name: Buffer) => {
  const file = Buffer.concat([Buffer.from(`${place.workTree ?? ''}${path.sep}`), name])
  return lstatSync(file, { throwIfNoEntry: false })
}

/** Refuses with `too_large` what would be too much to copy, before it is read. */
export async function assertBounded(
  place: GitPlace,
  changes: Changes,
  limits: { files: number; bytes: number; signal: AbortSignal | undefined },
): Promise<void> {
  let total = 0
  let largest = { name: '', size: -1 }
  for (const [index, name] of changes.changed.entries()) {
    if (index % 2000 === 1999) await setImmediate(undefined, { signal: limits.signal })
    const size = statOf(place, name)?.size ?? 0
    total += size
    if (size > largest.size) largest = { name: name.toString('utf8'), size }
  }
  if (changes.changed.length <= limits.files && total <= limits.bytes) return
  const megabytes = (bytes: number) => `${Math.round(bytes / (1 << 20))} MiB`
  throw new ForgeError(
    'too_large',
    `${place.workTree} has ${changes.changed.length} files (${megabytes(total)}) that are not committed; at most ${limits.files} (${megabytes(limits.bytes)}) are taken along`,
    {
      hint: `add what does not belong to the project to .gitignore; the largest is ${largest.name} (${megabytes(largest.size)})`,
      data: { files: changes.changed.length, bytes: total, largest: largest.name },
    },
  )
}

const nulJoined = (names: readonly Buffer[]): Buffer =>
  Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)]))

/** Brings them into the scratch index and writes it as a tree. */
export async function writeTree(
  place: GitPlace,
  changes: Changes,
  signal: AbortSignal | undefined,
): Promise<string> {
  const update = (args: string[], names: readonly Buffer[]) =>
    names.length === 0
      ? undefined
      : git(place, ['update-index', '-z', ...args, '--stdin'], { input: nulJoined(names), signal })
  await update(['--force-remove'], changes.deleted)
  await update(['--add', '--remove', '--replace'], changes.changed)
  return (await git(place, ['write-tree', '--missing-ok'], { signal })).toString('latin1').trim()
}
