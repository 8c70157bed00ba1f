import { describe, expect, it } from 'vitest'
import { arrowProblems, cycleProblems, folderProblems, sizeProblems } from './architecture.ts'

const source = (path: string, text: string) => ({ path, text })

describe('architecture rules', () => {
  it.each([
    ['cli to server', 'cli/a.ts', "import { x } from '#server/b.ts'"],
    ['server to cli, type only', 'server/a.ts', "import type { X } from '#cli/b.ts'"],
    ['core to server by a relative path', 'core/run/a.ts', "import { x } from '../../server/b.ts'"],
    ['core to Node', 'core/a.ts', "import { readFile } from 'node:fs'"],
    ['a dynamic import', 'cli/a.ts', "const b = await import('#server/b.ts')"],
    ['provider to provider', 'server/sandbox/providers/a/x.ts', "import { y } from '../b/y.ts'"],
    ['over several lines', 'cli/a.ts', "import {\n  x,\n  y,\n} from '#server/b.ts'"],
    ['re-export', 'cli/a.ts', "export { x } from '#server/b.ts'"],
  ])('refuses %s', (_name, path, text) => {
    expect(arrowProblems([source(path, text)])).toHaveLength(1)
  })

  it('lets the allowed arrows be', () => {
    expect(
      arrowProblems([source('cli/a.ts', "import { x } from '#core/b.ts'\nimport fs from 'node:fs'")]),
    ).toEqual([])
  })

  it('finds a cycle through a type import', () => {
    const a = source('core/a.ts', "import type { B } from './b.ts'")
    const b = source('core/b.ts', "import { a } from './a.ts'")
    expect(cycleProblems([a, b])).toHaveLength(1)
    expect(cycleProblems([a])).toEqual([])
  })

  it('bounds a file and names no folder after a kind of code', () => {
    expect(sizeProblems([source('core/a.ts', '\n'.repeat(501))])).toHaveLength(1)
    expect(sizeProblems([source('core/a.ts', '\n'.repeat(500))])).toEqual([])
    expect(folderProblems([source('core/utils/a.ts', '')])).toHaveLength(1)
  })
})
