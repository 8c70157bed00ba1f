import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { pathProblem } from '#core/workspace/path.ts'
import { type RawChange, rawChanges } from './changes.ts'
import { type GitOptions, gitText, neutralGit } from './git.ts'
import type { Received } from './receive.ts'

/** More commits than anyone reads: they are put together into one. */
const maxCommits = 10_000

interface Settled {
  /** Null when there is nothing, not even a start. */
  readonly tip: string | null
  readonly warnings: string[]
}

const gitlink = '160000'

const shown = (names: readonly Buffer[]): string => {
  const listed = names.slice(0, 5).map((name) => name.toString('utf8'))
  return names.length > 5 ? `${listed.join(', ')} and ${names.length - 5} more` : listed.join(', ')
}

const exitOne = (error: unknown): boolean => error instanceof ForgeError && error.data?.exitCode === 1

/** Paths of the submodules that the tree's `.gitmodules` declares. */
async function declaredSubmodules(tree: string, git: GitOptions): Promise<Set<string>> {
  const args = ['config', '--blob', `${tree}:.gitmodules`, '-z', '--get-regexp', '^submodule\\..*\\.path$']
  const listed = await gitText(args, git).catch(() => '')
  const values = listed.split('\0').map((entry) => entry.slice(entry.indexOf('\n') + 1))
  return new Set(values.filter((value) => value !== ''))
}

async function withoutPaths(tree: string, paths: readonly Buffer[], git: GitOptions): Promise<string> {
  const gitDir = git.gitDir ?? ''
  // Some commands refuse to work on an index without a work tree; they write nothing to this one.
  const env = { ...git.env, GIT_INDEX_FILE: path.join(gitDir, 'index'), GIT_WORK_TREE: gitDir }
  await neutralGit(['read-tree', tree], { ...git, env })
  const input = Buffer.concat(paths.flatMap((each) => [each, Buffer.of(0)]))
  await neutralGit(['update-index', '-z', '--force-remove', '--stdin'], { ...git, env, input })
  return gitText(['write-tree'], { ...git, env })
}

/** Leaves out what nobody could use or should have: undeclared nested repositories, and paths that trick a file system. */
async function cleanTree(
  tree: string,
  start: string | null,
  git: GitOptions,
): Promise<{ tree: string; warnings: string[] }> {
  const changes = await rawChanges(start, tree, { ...git, maxOutput: 256 << 20 })
  const declared = await declaredSubmodules(tree, git)
  const isNew = (change: RawChange) => change.newMode === gitlink && change.oldMode !== gitlink
  const nested = changes
    .filter((change) => isNew(change) && !declared.has(change.path.toString('utf8')))
    .map((change) => change.path)
  const unsafe = changes
    .filter(({ status, path: name }) => status !== 'D' && pathProblem(name.toString('utf8')) !== null)
    .map((change) => change.path)
  if (nested.length + unsafe.length === 0) return { tree, warnings: [] }
  const warnings = [
    ...(nested.length === 0
      ? []
      : [`left out, being git repositories of their own inside the work tree: ${shown(nested)}`]),
    ...(unsafe.length === 0 ? [] : [`left out, having unsafe names: ${shown(unsafe)}`]),
  ]
  return { tree: await withoutPaths(tree, [...nested, ...unsafe], git), warnings }
}

/** The agent's tip when it continues from `start`; otherwise the start itself. */
async function baseOf(
  received: Received,
  start: string | null,
  git: GitOptions,
): Promise<{ base: string | null; warnings: string[] }> {
  const { tip } = received
  if (tip === null || tip === start) return { base: start, warnings: [] }
  if (start !== null) {
    const descends = await neutralGit(['merge-base', '--is-ancestor', start, tip], git).then(
      () => true,
      (error: unknown) => {
        if (exitOne(error)) return false
        throw error
      },
    )
    if (!descends)
      return {
        base: start,
        warnings: ['the agent rewrote the history that it started from: its work is one commit on the start'],
      }
  }
  const range = start === null ? [tip] : [tip, `^${start}`]
  const count = Number(await gitText(['rev-list', '--count', ...range, '--'], git))
  if (count <= maxCommits) return { base: tip, warnings: [] }
  return { base: start, warnings: [`the agent made ${count} commits: its work is one commit on the start`] }
}

/** Makes the commit that the work ends in: always the start or one that descends from it. */
export async function settleWork(
  received: Received,
  work: { start: string | null; message: string; now: number },
  git: GitOptions,
): Promise<Settled> {
  const { base, warnings } = await baseOf(received, work.start, git)
  const clean = await cleanTree(received.tree, work.start, git)
  const said = [...warnings, ...clean.warnings]
  const baseTree = base === null ? null : await gitText(['rev-parse', '--verify', `${base}^{tree}`], git)
  const empty = await gitText(['hash-object', '-t', 'tree', '--stdin'], git)
  if (clean.tree === (baseTree ?? empty)) return { tip: base, warnings: said }
  const date = `${Math.floor(work.now / 1000)} +0000`
  const tip = await gitText(['commit-tree', clean.tree, ...(base === null ? [] : ['-p', base]), '-F', '-'], {
    ...git,
    input: work.message,
    env: {
      ...git.env,
      GIT_AUTHOR_NAME: 'Forge agent',
      GIT_AUTHOR_EMAIL: 'agent@forge.invalid',
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_NAME: 'Forge agent',
      GIT_COMMITTER_EMAIL: 'agent@forge.invalid',
      GIT_COMMITTER_DATE: date,
    },
  })
  return { tip, warnings: said }
}
