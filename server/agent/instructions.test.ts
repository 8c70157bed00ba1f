import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { readInstructions } from './instructions.ts'
import { openTestSandbox, type TestSandbox } from './test-sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())
beforeEach(() => sandbox.sh('rm -rf ./* .git'))

const read = () => readInstructions(sandbox.wire, sandbox.workdir)

test('none', async () => {
  expect(await read()).toEqual({ files: [], nested: [] })
})

test('AGENTS.md comes before CLAUDE.md, which stands in for it', async () => {
  await sandbox.write('CLAUDE.md', 'claude\n')
  expect((await read()).files).toEqual([{ path: 'CLAUDE.md', text: 'claude', truncated: false }])
  await sandbox.write('AGENTS.md', 'agents: ü\n')
  expect((await read()).files).toEqual([{ path: 'AGENTS.md', text: 'agents: ü', truncated: false }])
})

test('nested ones are named, those of dependencies are not', async () => {
  for (const path of ['web/AGENTS.md', 'a/b/AGENTS.md', 'node_modules/x/AGENTS.md', '.git/AGENTS.md'])
    await sandbox.write(path, 'x')
  expect({ ...(await read()), nested: (await read()).nested.toSorted() }).toEqual({
    files: [],
    nested: ['a/b/AGENTS.md', 'web/AGENTS.md'],
  })
})

test('a huge file is bounded, a hostile one harmless', async () => {
  await sandbox.sh('yes "a rule" | head -c 100000000 > AGENTS.md')
  const [file] = (await read()).files
  expect(file?.truncated).toBe(true)
  expect(file?.text.length).toBeLessThanOrEqual(32 * 1024)
  await sandbox.write('AGENTS.md', Buffer.from('one\0two\u001b[31m\xff', 'latin1'))
  expect((await read()).files[0]?.text).toBe('onetwo\ufffd')
  await sandbox.sh('rm AGENTS.md; mkfifo AGENTS.md; mkdir CLAUDE.md')
  expect((await read()).files).toEqual([])
  await sandbox.sh('rm -r AGENTS.md CLAUDE.md; ln -s /dev/zero AGENTS.md')
  expect((await read()).files).toEqual([])
})
