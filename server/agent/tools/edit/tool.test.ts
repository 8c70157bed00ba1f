import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { editTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const edit = (path: string, old: string, fresh: string, more: Record<string, unknown> = {}) =>
  sandbox.use(editTool, { path, old, new: fresh, ...more })

test('replaces the one place, shows it, keeps the mode', async () => {
  await sandbox.write('a.ts', 'one\ntwo\nthree\n', 0o755)
  expect(await edit('a.ts', 'two\n', 'zwei\nund\n')).toEqual({
    title: 'a.ts (line 2)',
    content: 'Changed a.ts in 1 place; the first now reads:\n1\tone\n2\tzwei\n3\tund\n4\tthree\n5\t',
    isError: false,
  })
  expect(await sandbox.sh('cat a.ts; stat -c %a a.ts')).toBe('one\nzwei\nund\nthree\n755\n')
})

test('text that occurs more than once needs `all`', async () => {
  await sandbox.write('b.ts', 'x\ny\nx\n')
  const refused = await edit('b.ts', 'x', 'z')
  expect(refused).toMatchObject({ isError: true, title: 'b.ts: no change' })
  expect(refused.content).toContain('old occurs 2 times, at lines 1, 3: take more lines')
  expect(await sandbox.read('b.ts')).toBe('x\ny\nx\n')
  expect((await edit('b.ts', 'x', 'z', { all: true })).title).toBe('b.ts (2 places)')
  expect(await sandbox.read('b.ts')).toBe('z\ny\nz\n')
})

test('nothing in the new text is special', async () => {
  await sandbox.write('c.ts', 'old')
  await edit('c.ts', 'old', `$& $1 \\n $\``)
  expect(await sandbox.read('c.ts')).toBe(`$& $1 \\n $\``)
})

test('says what stands nearest', async () => {
  await sandbox.write('d.ts', 'function a() {\n\treturn compute(1, 2)\n}\n')
  expect((await edit('d.ts', '  return compute(1, 2)', 'x')).content).toContain(
    'Line 2 comes nearest, but its white space differs from the first line of old: "\\treturn compute(1, 2)"',
  )
  expect((await edit('d.ts', 'function a() {\n  other\n', 'x')).content).toContain(
    'Line 1 comes nearest, but the lines after it differ',
  )
  expect((await edit('d.ts', 'return compute(1, 3)', 'x')).content).toContain('Line 2 comes nearest: ')
  expect((await edit('d.ts', 'something else', 'x')).content).toContain('no line of the file is much like')
})

test('keeps CRLF line ends, also in what is new', async () => {
  await sandbox.write('e.txt', 'one\r\ntwo\r\nthree\r\n')
  expect((await edit('e.txt', 'one\ntwo', 'eins\nzwei\nnoch')).isError).toBe(false)
  expect(await sandbox.read('e.txt')).toBe('eins\r\nzwei\r\nnoch\r\nthree\r\n')
})

test('leaves every other byte as it is', async () => {
  await sandbox.write('f.bin', Buffer.from('\xef\xbb\xbf\xff\0 old \xfe\r\n', 'latin1'))
  await edit('f.bin', 'old', 'new')
  expect(await sandbox.sh('od -An -c f.bin | tr -s " "')).toBe(' 357 273 277 377 \\0 n e w 376 \\r \\n\n')
})

test('what cannot be edited is said', async () => {
  expect(await edit('none.ts', 'a', 'b')).toMatchObject({ isError: true })
  expect((await edit('.', 'a', 'b')).isError).toBe(true)
  expect((await edit('a.ts', '', 'b')).content).toContain('- old: is empty: to make a file use write')
  expect((await edit('a.ts', 'one', 'one')).content).toContain('old and new are the same')
  await sandbox.sh('head -c 9000000 /dev/zero > huge')
  expect((await edit('huge', 'a', 'b')).content).toContain('larger than')
})

test('an edit that would blow the file up is refused before it is made', async () => {
  await sandbox.sh('head -c 4000000 /dev/zero | tr "\\0" x > many')
  const outcome = await edit('many', 'x', 'y'.repeat(900_000), { all: true })
  expect(outcome.content).toContain('would become larger than 8.0 MB')
  expect(await sandbox.sh('stat -c %s many')).toBe('4000000\n')
})
