import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestWorld, testWorld } from '../sandbox/providers/bubblewrap/test-world.ts'
import { call, play, sh, turns } from './test-run.ts'
import { sandboxOver, type TestSandbox } from './test-sandbox.ts'
import { shellTool } from './tools/shell/tool.ts'

/* The tools and the loop where they really work: in a bubblewrap sandbox with 64 MB of disk and 128 processes. */

let world: TestWorld
let sandbox: TestSandbox
beforeAll(async () => {
  world = await testWorld()
  const { wire } = await world.start()
  sandbox = await sandboxOver(wire, {
    folder: '/tmp',
    lose: () => wire.close(),
    close: async () => undefined,
  })
}, 120_000)
afterAll(() => world?.[Symbol.asyncDispose]())

test('an agent works in it', async () => {
  const script = turns(
    { calls: [call('write', { path: 'a/b.txt', content: 'one\n' })] },
    {
      calls: [
        call('read', { path: 'a/b.txt' }),
        call('search', { pattern: 'one' }),
        call('list', { path: '.' }),
      ],
    },
    { calls: [call('edit', { path: 'a/b.txt', old: 'one', new: 'two' })] },
    sh('cat a/b.txt; id -u; seq 1 20000'),
    { text: 'Done.' },
  )
  const { result, ledger } = await play(sandbox, script, {
    check: 'grep two a/b.txt',
    outputFolder: undefined,
  })
  expect(result).toMatchObject({ outcome: 'done', check: { passed: true } })
  const finished = ledger.of('tool.finished')
  expect(finished.filter(({ isError }) => isError)).toEqual([])
  expect(finished.at(-1)?.kept).toBe('/tmp/forge/output/4-1.txt')
  expect(await sandbox.sh('tail -n 1 /tmp/forge/output/4-1.txt')).toBe('20000\n')
})

test('more output than the disk has room for: the command goes on, and the loss is told', async () => {
  const outcome = await sandbox.use(shellTool, {
    command: 'head -c 200000000 /dev/zero | tr "\\0" x; echo; exit 3',
  })
  expect(outcome).toMatchObject({ exitCode: 3 })
  expect(outcome.content).toMatch(/\[a part of the output is lost|\[more than 67\.1 MB in all/)
  await sandbox.sh('rm -rf /tmp/output')
  expect((await sandbox.use(shellTool, { command: 'echo room again' })).content).toContain('room again')
})

test('more processes than there may be: an error for the model, not the end of the run', async () => {
  const outcome = await sandbox.use(shellTool, {
    command: 'for i in $(seq 300); do sleep 5001 & done; wait',
    timeout_seconds: 4,
  })
  expect(outcome.isError).toBe(true)

  await expect
    .poll(async () => (await sandbox.use(shellTool, { command: 'echo alive' })).content, { timeout: 20_000 })
    .toContain('alive')
}, 60_000)
