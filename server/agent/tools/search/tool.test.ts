import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { searchTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
  await sandbox.sh('git init -q .')
  await sandbox.write('.gitignore', 'ignored/\n')
  await sandbox.write('src/a.ts', 'const one = 1\nexport const two = one + 1\n')
  await sandbox.write('src/b.js', 'one()\n')
  await sandbox.write('.github/ci.yml', 'run: one\n')
  await sandbox.write('ignored/c.ts', 'one\n')
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const search = (pattern: string, more: Record<string, unknown> = {}) =>
  sandbox.use(searchTool, { pattern, ...more })

const everywhere =
  '.github/ci.yml:1:run: one\nsrc/a.ts:1:const one = 1\nsrc/a.ts:2:export const two = one + 1\nsrc/b.js:1:one()'

test('finds lines in the work tree, without what git ignores', async () => {
  expect(await search('one')).toEqual({ title: 'one (4 lines)', content: everywhere, isError: false })
})

test('in a folder, in a file, by a glob, by a glob that excludes', async () => {
  expect((await search('\\bone\\b', { path: 'src' })).content.split('\n')).toHaveLength(3)
  expect((await search('two', { path: `${sandbox.workdir}/src/a.ts` })).content).toBe(
    'src/a.ts:2:export const two = one + 1',
  )
  expect((await search('one', { glob: '*.js' })).content).toBe('src/b.js:1:one()')
  expect((await search('one', { path: 'src', glob: '!*.ts' })).content).toBe('src/b.js:1:one()')
})

test('nothing found is an answer, a broken pattern an error with the reason', async () => {
  expect(await search('absent')).toEqual({
    title: 'absent (nothing)',
    content: 'Nothing matches.',
    isError: false,
  })
  const broken = await search('(')
  expect(broken).toMatchObject({ isError: true })
  expect(broken.content).toContain('unclosed group')
  expect((await search('x', { path: 'none' })).content).toBe('none: there is no such file or folder')
  expect((await search('')).content).toContain('- pattern: is empty')
  expect((await search('a\nb')).content).toContain('- pattern: holds a line end')
})

test('patterns and names are never options or commands', async () => {
  await sandbox.write('-f', '--version $(id) `id`\n')
  expect((await search('--version')).content).toBe('-f:1:--version $(id) `id`')
  expect((await search('\\$\\(id\\)', { path: '-f' })).content).toBe('-f:1:--version $(id) `id`')
})

test('many and long lines are bounded', async () => {
  await sandbox.sh(
    'mkdir big; yes needle | head -n 300000 > big/tall; head -c 1000000 /dev/zero | tr "\\0" y > big/wide',
  )
  const { content } = await search('needle', { path: 'big' })
  expect(content.split('\n')).toHaveLength(201)
  expect(content).toMatch(/\[the first 200 of more than [\d,]+ lines; search more narrowly/)
  expect((await search('yyy', { path: 'big/wide' })).content.length).toBeLessThan(1700)
  await sandbox.sh('rm -r big')
})

test('without ripgrep it says what it searched with', async () => {
  const without = (programs: string[]) => ({
    ...sandbox.wire,
    run: (request: Parameters<typeof sandbox.wire.run>[0]) =>
      sandbox.wire.run({ ...request, env: { PATH: `${sandbox.workdir}/../${programs.join('-')}` } }),
  })
  const link = (programs: string[]) =>
    sandbox.sh(
      `d=../${programs.join('-')}; mkdir -p $d; for p in ${programs.join(' ')}; do ln -sf "$(command -v $p)" $d/; done`,
    )
  for (const programs of [
    ['head', 'git', 'grep'],
    ['head', 'grep'],
  ]) {
    await link(programs)
    const find = (input: Record<string, unknown>) =>
      sandbox.use(searchTool, input, { wire: without(programs) })
    const found = await find({ pattern: 'one', path: 'src', glob: '*.ts' })
    const name = programs.includes('git') ? 'git grep' : 'grep'
    expect(found.content).toBe(
      `src/a.ts:1:const one = 1\nsrc/a.ts:2:export const two = one + 1\n[ripgrep is not there: searched with ${name}, whose patterns are POSIX extended regular expressions]`,
    )
    expect((await find({ pattern: 'one', path: 'src', glob: '!*.ts' })).content).toMatch(
      /^src\/b\.js:1:one\(\)\n\[/,
    )
    expect((await find({ pattern: '(' })).content).toContain(`${name} refused the search: `)
    expect((await find({ pattern: 'absent' })).content).toContain('Nothing matches.')
  }
})
