import { ForgeError } from '#core/errors.ts'
import type { DiffStat } from '#core/run/run.ts'
import type { FileChange } from '#core/workspace/workspace.ts'
import { type GitOptions, neutralGit } from './git.ts'

/** Git knows these two without being given them. */
const emptyTrees = {
  sha1: '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  sha256: '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
}

/** `git diff-tree` between two trees or commits, with nothing of the repository having a say in it. */
export const diffArgs = (from: string | null, to: string, more: readonly string[]): string[] => [
  'diff-tree',
  '-r',
  '-M',
  '-l1000',
  '--no-ext-diff',
  '--no-textconv',
  '--ignore-submodules=none',
  ...more,
  from ?? (to.length === 40 ? emptyTrees.sha1 : emptyTrees.sha256),
  to,
  '--',
]

const statuses: { readonly [letter: string]: FileChange['status'] } = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  R: 'renamed',
  C: 'copied',
  T: 'type_changed',
}

/** A file as `--raw -z` gives it; the names are kept as bytes. */
export interface RawChange {
  readonly oldMode: string
  readonly newMode: string
  readonly status: string
  readonly path: Buffer
  readonly from: Buffer | null
}

const malformed = () => new ForgeError('internal', 'the output of git diff-tree was not understood')

/** Fields that end in NUL. */
class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  beginsWith(character: string): boolean {
    return this.#bytes[this.#at] === character.charCodeAt(0)
  }

  next(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw malformed()
    const field = this.#bytes.subarray(this.#at, end)
    this.#at = end + 1
    return field
  }
}

function nextRaw(fields: Fields): RawChange {
  const [oldMode = '', newMode = '', , , status = ''] = fields.next().toString('latin1').slice(1).split(' ')
  const first = fields.next()
  const twoNames = status.startsWith('R') || status.startsWith('C')
  return {
    oldMode,
    newMode,
    status: status.charAt(0),
    path: twoNames ? fields.next() : first,
    from: twoNames ? first : null,
  }
}

export async function rawChanges(from: string | null, to: string, options: GitOptions): Promise<RawChange[]> {
  const fields = new Fields(await neutralGit(diffArgs(from, to, ['--raw', '-z']), options))
  const changes: RawChange[] = []
  while (!fields.done) changes.push(nextRaw(fields))
  return changes
}

function nextCount(fields: Fields): { insertions: number | null; deletions: number | null } {
  const [insertions = '', deletions = '', name] = fields.next().toString('latin1').split('\t')
  // A renamed file has both names in fields of their own.
  if (name === '') {
    fields.next()
    fields.next()
  }
  const count = (text: string) => (text === '-' ? null : Number(text))
  return { insertions: count(insertions), deletions: count(deletions) }
}

/** All changed files with their line counts. */
export async function fileChanges(
  from: string | null,
  to: string,
  options: GitOptions,
): Promise<{ files: FileChange[]; stat: DiffStat }> {
  const fields = new Fields(await neutralGit(diffArgs(from, to, ['--raw', '--numstat', '-z']), options))
  const raw: RawChange[] = []
  while (!fields.done && fields.beginsWith(':')) raw.push(nextRaw(fields))
  const files = raw.map((change): FileChange => {
    const { insertions, deletions } = nextCount(fields)
    const status = statuses[change.status]
    if (!status) throw malformed()
    return {
      path: change.path.toString('utf8'),
      ...(change.from === null ? {} : { from: change.from.toString('utf8') }),
      status,
      oldMode: change.oldMode,
      newMode: change.newMode,
      insertions,
      deletions,
      binary: insertions === null,
    }
  })
  const sum = (key: 'insertions' | 'deletions') => files.reduce((total, file) => total + (file[key] ?? 0), 0)
  return { files, stat: { files: files.length, insertions: sum('insertions'), deletions: sum('deletions') } }
}
