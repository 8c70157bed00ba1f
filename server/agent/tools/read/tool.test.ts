import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { readTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const read = (path: string, more: Record<string, unknown> = {}) => sandbox.use(readTool, { path, ...more })

test('gives the lines with their numbers, by a relative and an absolute path', async () => {
  await sandbox.write('src/a.ts', 'one\n\ttwo\n\nfour')
  const outcome = { title: 'src/a.ts (4 lines)', content: '1\tone\n2\t\ttwo\n3\t\n4\tfour', isError: false }
  expect(await read('src/a.ts')).toEqual(outcome)
  expect((await read(`${sandbox.workdir}/src/a.ts`)).content).toBe(outcome.content)
})

test('gives a part, and says how to go on', async () => {
  await sandbox.sh('seq 1 5000 > long.txt')
  expect(await read('long.txt', { offset: 10, limit: 2 })).toMatchObject({
    title: 'long.txt (lines 10 to 11 of 5,000 lines)',
    content: '10\t10\n11\t11\n[go on with offset 12: 5,000 lines, 23.9 kB in all]',
  })
  expect((await read('long.txt')).content).toMatch(/\n2000\t2000\n\[go on with offset 2001:/)
  expect((await read('long.txt', { offset: 5000 })).content).toBe('5000\t5000')
  expect(await read('long.txt', { offset: 5001 })).toMatchObject({
    isError: true,
    content: 'long.txt has 5,000 lines; there is no line 5001',
  })
})

test('a blank line, and the last one without an end, are lines', async () => {
  await sandbox.write('blank.txt', 'a\n\nc')
  expect((await read('blank.txt', { offset: 2, limit: 1 })).content).toMatch(/^2\t\n\[go on with offset 3/)
  expect((await read('blank.txt', { offset: 3 })).content).toBe('3\tc')
  expect((await read('blank.txt', { offset: 4 })).isError).toBe(true)
})

test('a large file gives the same as a small one', async () => {
  await sandbox.sh('seq 1 300000 > large.txt; echo >> large.txt; printf end >> large.txt')
  expect((await read('large.txt', { offset: 299_999, limit: 3 })).content).toBe(
    '299999\t299999\n300000\t300000\n300001\t\n[go on with offset 300002: 300,002 lines, 2.0 MB in all]',
  )
  expect((await read('large.txt', { offset: 300_002 })).content).toBe('300002\tend')
  expect((await read('large.txt', { offset: 300_003 })).isError).toBe(true)
  await sandbox.sh('head -c 2000000 /dev/zero > large.bin')
  expect((await read('large.bin')).content).toBe('large.bin is a binary file of 2.0 MB.')
})

test('cuts long lines, and long files at a whole line', async () => {
  await sandbox.sh(
    'head -c 3000000 /dev/zero | tr "\\0" x > wide.txt; yes 0123456789 | head -n 100000 > tall.txt',
  )
  expect((await read('wide.txt')).content).toMatch(/^1\tx{2000}… \[the line is longer\]$/)
  const { content } = await read('tall.txt', { limit: 10_000 })
  expect(content.length).toBeLessThan(51_000)
  expect(content).toMatch(/\t0123456789\n\[go on with offset \d+: 100,000 lines/)
})

test('describes a binary file, an empty one', async () => {
  await sandbox.write('image.png', Buffer.from([137, 80, 78, 71, 0, 0, 1]))
  expect(await read('image.png')).toMatchObject({
    content: 'image.png is a binary file of 7 bytes.',
    isError: false,
  })
  await sandbox.write('empty', '')
  expect((await read('empty')).content).toBe('empty is empty.')
})

test('carriage returns at line ends, escapes, bytes that are no UTF-8', async () => {
  await sandbox.write('odd.txt', Buffer.from('a\r\nb\u001b[1m\xff\n', 'latin1'))
  expect((await read('odd.txt')).content).toBe('1\ta\n2\tb\u001b[1m\ufffd')
})

test('names with quotes, spaces, line ends and a leading dash', async () => {
  for (const name of [`it's "a" $x`, 'two\nlines', '-rf'])
    expect((await sandbox.write(name, name).then(() => read(name))).content).toContain('1\t')
})

test('what cannot be read is said', async () => {
  expect(await read('no/such')).toMatchObject({ isError: true, content: 'no/such: there is no such file' })
  expect((await read('src')).content).toBe('src: it is a folder: use list')
  await sandbox.sh('mkfifo pipe; echo x > locked; chmod 0 locked')
  expect((await read('pipe')).content).toBe('pipe: it is not a regular file')
  expect((await read('/dev/zero')).isError).toBe(true)
  if ((await sandbox.sh('id -u')) !== '0\n')
    expect((await read('locked')).content).toContain('may not be read')
  expect((await read('a\0b')).content).toContain('- path: contains a NUL')
  expect((await read('a', { offset: 0 })).content).toContain('- offset: ')
})
