import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { type GitPlace, gitText } from './git.ts'

/** Up to this many commits, and this many bytes of packs, the whole history goes along. */
const wholeCommits = 5000
const wholeBytes = 64 << 20
/** Otherwise so many generations; only HEAD when the packs are larger than `deepBytes`. */
const depth = 50
const deepBytes = 1 << 30

async function packBytes(objects: string): Promise<number> {
  const names = await readdir(path.join(objects, 'pack')).catch(() => [])
  const sizes = await Promise.all(
    names
      .filter((name) => name.endsWith('.pack'))
      .map(async (name) => (await stat(path.join(objects, 'pack', name)).catch(() => null))?.size ?? 0),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** The commits at most `generations` away from `head`, as far as `parents` knows them. */
function nearCommits(head: string, parents: Map<string, string[]>, generations: number): Set<string> {
  const near = new Set([head])
  let layer = [head]
  for (let generation = 1; generation < generations && layer.length > 0; generation++) {
    const next = layer.flatMap((commit) => parents.get(commit) ?? [])
    layer = [...new Set(next)].filter((commit) => parents.has(commit) && !near.has(commit))
    for (const commit of layer) near.add(commit)
  }
  return near
}

/** The commits at which the history that goes along is cut: their parents stay behind. */
export async function historyCut(
  place: GitPlace,
  head: string,
  options: { objects: string; signal: AbortSignal | undefined },
): Promise<string[]> {
  const args = ['rev-list', '--parents', `--max-count=${wholeCommits + 1}`, head, '--']
  const listed = await gitText(place, args, { maxOutput: 64 << 20, signal: options.signal })
  const parents = new Map(
    listed.split('\n').map((line) => {
      const [commit = '', ...rest] = line.split(' ')
      return [commit, rest]
    }),
  )
  const bytes = await packBytes(options.objects)
  const whole = parents.size <= wholeCommits && bytes <= wholeBytes
  const near = whole ? new Set(parents.keys()) : nearCommits(head, parents, bytes > deepBytes ? 1 : depth)
  const shallow = await readFile(path.join(place.gitDir ?? '', 'shallow'), 'utf8').catch(() => '')
  const alreadyCut = new Set(shallow.split('\n'))
  return [...near].filter(
    (commit) => alreadyCut.has(commit) || (parents.get(commit) ?? []).some((parent) => !near.has(parent)),
  )
}
