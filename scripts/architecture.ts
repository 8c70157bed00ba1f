import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

export interface Source {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** One arrow that must not exist, with the way out in its message. */
interface Ban {
  readonly from: RegExp
  readonly to: RegExp
  readonly message: string
}

const bans: Ban[] = [
  {
    from: /^core\//,
    to: /^(server|cli|e2e|scripts)\//,
    message: 'core knows nobody: move what you need into core, or pass it in',
  },
  {
    from: /^core\//,
    to: /^node:/,
    message: 'core does no Node I/O: take the value as an argument and do the I/O in server or cli',
  },
  {
    from: /^cli\//,
    to: /^server\//,
    message: 'the CLI is a thin client: put the shared type or pure function into core',
  },
  {
    from: /^server\//,
    to: /^cli\//,
    message: 'the server does not know its clients: put the shared part into core',
  },
  {
    from: /^(cli|server)\//,
    to: /^(e2e|scripts|bench)\//,
    message: 'the product does not import its tests and scripts',
  },
]

const importPattern =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

/** Every module a source names, type imports included; relative and `#` names as paths from the root. */
export function importsOf(source: Source): string[] {
  const named = [...source.text.matchAll(importPattern)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  )
  return named.map((name) => {
    if (name.startsWith('#')) return name.slice(1)
    if (name.startsWith('.'))
      return path.posix.normalize(path.posix.join(path.posix.dirname(source.path), name))
    return name
  })
}

/** `server/sandbox/providers/NAME` and `cli/tui/panes/NAME` are families whose members never import each other. */
const familyOf = (file: string): { family: string; member: string } | undefined => {
  const match = /^(server\/sandbox\/providers|cli\/tui\/panes)\/([^/]+)\//.exec(file)
  return match?.[1] && match[2] ? { family: match[1], member: match[2] } : undefined
}

export function arrowProblems(sources: readonly Source[]): string[] {
  return sources.flatMap((source) =>
    importsOf(source).flatMap((target) => {
      const problems = bans
        .filter((ban) => ban.from.test(source.path) && ban.to.test(target))
        .filter(() => !(source.path.startsWith('core/') && isTest(source.path)))
        .map((ban) => `${source.path} imports ${target}: ${ban.message}`)
      const from = familyOf(source.path)
      const to = familyOf(target)
      if (from && to && from.family === to.family && from.member !== to.member)
        problems.push(
          `${source.path} imports ${target}: members of ${from.family} never import each other: move the shared part up`,
        )
      return problems
    }),
  )
}

export function cycleProblems(sources: readonly Source[]): string[] {
  const edges = new Map(sources.map((source) => [source.path, importsOf(source)]))
  const done = new Set<string>()
  const problems: string[] = []
  const visit = (file: string, trail: string[]): void => {
    const at = trail.indexOf(file)
    if (at >= 0) {
      problems.push(
        `import cycle: ${[...trail.slice(at), file].join(' -> ')}: move what both need into a third file`,
      )
      return
    }
    if (done.has(file)) return
    for (const next of edges.get(file) ?? []) if (edges.has(next)) visit(next, [...trail, file])
    done.add(file)
  }
  for (const file of edges.keys()) visit(file, [])
  return problems
}

const isTest = (file: string) => /\.test\.tsx?$|\/conformance\/|\/suite\.ts$/.test(file)

export function sizeProblems(sources: readonly Source[]): string[] {
  return sources
    .map((source) => ({
      path: source.path,
      lines: source.text.split('\n').length - 1,
      limit: isTest(source.path) ? 600 : 500,
    }))
    .filter(({ lines, limit }) => lines > limit)
    .map(
      ({ path, lines, limit }) =>
        `${path} has ${lines} lines, more than ${limit}: split it by reason to change`,
    )
}

const banned = /(^|\/)(utils|helpers|types|common)\//

export function folderProblems(sources: readonly Source[]): string[] {
  return sources
    .filter((source) => banned.test(source.path))
    .map(
      (source) =>
        `${source.path}: name the folder after the noun it serves, not after what kind of code it holds`,
    )
}

/** Reads every tracked or new TypeScript file below `root` and returns one line for each broken rule. */
export function checkArchitecture(root: string): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', '*.ts', '*.tsx', '*.mjs', '*.cjs'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  const sources = listed
    .split('\n')
    .filter((file) => file !== '' && !file.includes('fixtures/') && existsSync(path.join(root, file)))
    .map((file) => ({ path: file, text: readFileSync(path.join(root, file), 'utf8') }))
  for (const source of sources) {
    const lines = source.text.split('\n').length - 1
    if (lines > 300 && !isTest(source.path))
      console.warn(`ask: ${source.path} has ${lines} lines: does it have one reason to change?`)
  }
  return [
    ...arrowProblems(sources),
    ...cycleProblems(sources),
    ...sizeProblems(sources),
    ...folderProblems(sources),
  ]
}
