import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { listTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const list = (path: string) => sandbox.use(listTool, { path })

test('shows folders, files with their size, links with their target, and what is hidden', async () => {
  await sandbox.sh('mkdir a; cd a; mkdir sub; echo hi > f.txt; ln -s ../x/y link; touch .hidden; mkfifo pipe')
  expect(await list('a')).toEqual({
    title: 'a (5 entries)',
    content: '.hidden  0 bytes\nf.txt  3 bytes\nlink -> ../x/y\npipe  (special file)\nsub/',
    isError: false,
  })
  expect((await list('.')).content).toBe('a/')
  expect((await list('a/sub')).content).toBe('The folder is empty.')
})

test('a name cannot pass for two', async () => {
  await sandbox.sh(`mkdir b; cd b; touch $'one\\ntwo' 'sp ace' ./-x`)
  expect((await list('b')).content).toBe('-x  0 bytes\n"one\\ntwo"  0 bytes\nsp ace  0 bytes')
})

test('leaves out what is too much, and says so', async () => {
  await sandbox.sh('mkdir many; cd many; seq -f f%05g 1 3000 | xargs touch')
  const { title, content } = await list('many')
  expect(title).toBe('many (3,000 entries)')
  expect(content.split('\n')).toHaveLength(501)
  expect(content).toMatch(/^f00001 .*\nf00002 /)
  expect(content).toContain('[2,500 more are left out]')
})

test('what cannot be listed is said', async () => {
  expect((await list('none')).content).toBe('none: there is no such folder')
  expect((await list('a/f.txt')).content).toBe('a/f.txt: it is not a folder: use read')
  expect((await sandbox.use(listTool, {})).content).toContain('- path: ')
})
