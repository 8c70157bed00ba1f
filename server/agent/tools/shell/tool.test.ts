import { afterAll, beforeAll, expect, test } from 'vitest'
import { countRunning, killRunning } from '../../../sandbox/conformance/rig.ts'
import { openTestSandbox, type TestSandbox } from '../../test-sandbox.ts'
import { shellTool } from './tool.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const shell = (command: string, more: Record<string, unknown> = {}) =>
  sandbox.use(shellTool, { command, ...more })
const rig = { wire: () => sandbox.wire }
const left = () => sandbox.sh(`ls ${sandbox.outputFolder}`)

test('gives stdout and stderr in the order in which they came, and the exit code', async () => {
  const outcome = await shell('echo one; echo two >&2; echo three; pwd')
  expect(outcome).toEqual({
    title: 'echo one; echo two >&2; echo three; pwd',
    content: `one\ntwo\nthree\n${sandbox.workdir}\n[exit code 0]`,
    isError: false,
    exitCode: 0,
  })
  await expect.poll(left).toBe('')
})

test('a failing command is an error with its exit code; a signal is named', async () => {
  expect(await shell('echo no; exit 7')).toMatchObject({
    isError: true,
    exitCode: 7,
    content: 'no\n[exit code 7]',
  })
  expect((await shell('kill -9 $$')).content).toContain('[exit code 137, SIGKILL')
  expect((await shell('no-such-program')).content).toMatch(/not found\n\[exit code 127\]/)
  expect((await shell('if then')).content).toMatch(/syntax error[\s\S]*\[exit code 2\]/)
})

test('no output, and no input to wait for', async () => {
  expect((await shell('cat')).content).toBe('(no output)\n[exit code 0]')
})

test('quotes, dollars, backslashes, line ends and other alphabets reach bash as they are', async () => {
  const outcome = await shell(`x='a "b" $c \\ ü'\nprintf '%s|' "$x" 'it'"'"'s'`)
  expect(outcome.content).toBe(`a "b" $c \\ ü|it's|\n[exit code 0]`)
})

test('a long output is kept whole, and shown with its middle left out', async () => {
  const outcome = await shell('seq 1 100000')
  expect(outcome.content.length).toBeLessThan(32_000)
  expect(outcome.content).toMatch(/^1\n2\n/)
  expect(outcome.content).toContain('\n100000\n')
  expect(outcome.content).toContain('[… the middle is left out …]')
  expect(outcome.content).toContain('[100,000 lines, 588.9 kB in all; the whole is in ')
  expect(await sandbox.sh(`sha256sum < ${outcome.kept}; seq 1 100000 | sha256sum`)).toMatch(/^(.*)\n\1\n$/)
})

test('an output that just does not fit is kept, too', async () => {
  const outcome = await shell('seq 1 8000')
  expect(outcome.content).toContain('[… the middle is left out …]')
  expect(await sandbox.sh(`tail -n 1 ${outcome.kept}`)).toBe('8000\n')
})

test('1 GB of output: a bounded file, the true end, and nothing of it in memory here', async () => {
  const before = process.memoryUsage().rss
  const outcome = await shell('head -c 1000000000 /dev/zero | tr "\\0" x; echo; echo the end')
  expect(outcome.content).toContain(
    'the end\n[exit code 0]\n[more than 67.1 MB in all; the first 67.1 MB are in ',
  )
  expect(Number(await sandbox.sh(`stat -c %s ${outcome.kept}`))).toBe(64 * 1024 * 1024)
  expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000)
  await sandbox.sh(`rm ${outcome.kept}`)
})

test('a time limit ends the command, and what it wrote is told', async () => {
  const outcome = await shell('echo begun; sleep 1000', { timeout_seconds: 1 })
  expect(outcome).toMatchObject({ isError: true, exitCode: null })
  expect(outcome.content).toBe('begun\n[timed out after 1 s and was stopped]')
  expect(outcome.title).toContain('timed out')
})

test('a command that ignores SIGTERM ends all the same, and keeps its output', async () => {
  const outcome = await shell(`echo $$ > pid; trap '' TERM; seq 1 20000; while :; do sleep 0.1; done`, {
    timeout_seconds: 1,
  })
  expect(outcome.content).toContain('\n20000\n[timed out after 1 s and was stopped]')
  expect(await sandbox.sh('grep -q . "/proc/$(cat pid)/cmdline" || echo gone; rm pid')).toBe('gone\n')
})

test('the run’s deadline is a limit, too', async () => {
  const outcome = await sandbox.use(shellTool, { command: 'sleep 1000' }, { remaining: () => 300 })
  expect(outcome.content).toContain('timed out after 1 s')
})

test('a program in the background does not hold the answer up', async () => {
  const outcome = await shell('(sleep 1; echo late; sleep 1000) & echo now')
  expect(outcome).toMatchObject({ isError: false, exitCode: 0 })
  expect(outcome.content).toContain('now\n[exit code 0]\n[something that it started still runs and writes')
  await expect.poll(() => sandbox.sh(`cat ${outcome.kept}`)).toBe('now\nlate\n')
  await killRunning(rig, 'sleep 1000')
})

test('one that has its output elsewhere is not even mentioned', async () => {
  expect((await shell('setsid sleep 1001 >/dev/null 2>&1 & echo now')).content).toBe('now\n[exit code 0]')
  await killRunning(rig, 'sleep 1001')
})

test('an abort ends the command', async () => {
  const controller = new AbortController()
  const running = sandbox.use(shellTool, { command: 'sleep 1002' }, { signal: controller.signal })
  await expect.poll(() => countRunning(rig, 'sleep 1002')).toBe(1)
  controller.abort()
  expect((await running).content).toContain('[interrupted]')
  expect(await countRunning(rig, 'sleep 1002')).toBe(0)
})

test('colours, progress bars, control characters and broken UTF-8 become plain text', async () => {
  const outcome = await shell(
    `printf '\\033[31mred\\033[0m\\n10%%\\r50%%\\r100%%\\nbell\\a\\000nul\\xff\\n\\033]0;title\\007end\\r\\n'`,
  )
  expect(outcome.content).toBe('red\n100%\nbellnul\ufffd\nend\n[exit code 0]')
})

test('what is not a command is told, not run', async () => {
  expect((await shell('')).content).toContain('- command: is empty')
  expect((await shell('true', { timeout: 3 })).content).toMatch(
    /"timeout"[\s\S]*timeout_seconds \(optional\)/,
  )
  expect((await sandbox.use(shellTool, {})).content).toContain('- command: ')
  expect((await shell('x'.repeat(130_000))).content).toContain('write a script')
  expect((await shell('true', { timeout_seconds: 99_999 })).isError).toBe(true)
})

test('a command of almost the longest length runs', async () => {
  expect((await shell(`: ${'x'.repeat(119_000)}; echo ran`)).content).toBe('ran\n[exit code 0]')
})

test('the agent may remove the place where outputs are kept', async () => {
  expect((await shell(`rm -rf ${sandbox.outputFolder}; echo gone`)).content).toContain('[exit code 0]')
  expect((await shell('echo back')).content).toBe('back\n[exit code 0]')
})

test('an output that cannot be kept is not passed over in silence', async () => {
  const outcome = await sandbox.use(shellTool, { command: 'echo x; exit 3' }, { keep: '/proc/none/x.txt' })
  expect(outcome.content).toMatch(/^\(no output\)\n\[exit code 3\]\n\[a part of the output is lost/)
})

test('a sandbox that is lost is an error of the run, not of the call', async () => {
  const own = await openTestSandbox()
  const running = own.use(shellTool, { command: 'sleep 1003' })
  own.lose()
  await expect(running).rejects.toMatchObject({ code: 'sandbox_lost' })
  await own[Symbol.asyncDispose]()
})

test('the description and the schema for the model', () => {
  expect(shellTool.definition.description).toContain('120 seconds')
  expect(shellTool.definition.inputSchema).toMatchObject({
    type: 'object',
    required: ['command'],
    additionalProperties: false,
    properties: { command: { type: 'string' }, timeout_seconds: { type: 'integer', maximum: 3600 } },
  })
})
