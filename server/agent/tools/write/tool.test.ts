import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { writeTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const write = (path: string, content: unknown) => sandbox.use(writeTool, { path, content })

test('makes a file with its folders', async () => {
  expect(await write('a/b/c.txt', 'one\ntwo\n')).toEqual({
    title: 'a/b/c.txt (new, 2 lines, 8 bytes)',
    content: 'Wrote a/b/c.txt: new, 2 lines, 8 bytes.',
    isError: false,
  })
  expect(await sandbox.read('a/b/c.txt')).toBe('one\ntwo\n')
})

test('replaces one, and leaves its permissions', async () => {
  await sandbox.write('run.sh', 'old', 0o755)
  expect((await write('run.sh', 'new ü')).content).toBe('Wrote run.sh: replaced, 1 line, 6 bytes.')
  expect(await sandbox.sh('stat -c %a run.sh; cat run.sh')).toBe('755\nnew ü')
})

test('writes through a link', async () => {
  await sandbox.sh('echo old > target; ln -s target link')
  await write('link', 'new')
  expect(await sandbox.sh('readlink link; cat target')).toBe('target\nnew')
})

test('what cannot be written is said, and nothing is left of it', async () => {
  await sandbox.sh('mkdir -p folder; echo file > plain; mkfifo pipe')
  expect(await write('folder', 'x')).toMatchObject({ isError: true, content: 'folder is a folder' })
  expect((await write('plain/below', 'x')).isError).toBe(true)
  expect((await write('pipe', 'x')).content).toBe('pipe is not a regular file')
  if ((await sandbox.sh('id -u')) !== '0\n') expect((await write('/etc/forge-test', 'x')).isError).toBe(true)
  expect((await write('x', 3)).content).toContain('- content: ')
  expect((await write('', 'x')).content).toContain('- path: is empty')
  expect(await sandbox.sh('ls -A folder; cat plain')).toBe('file\n')
})
