import { afterAll, beforeAll, expect, test } from 'vitest'
import { countRunning } from '../sandbox/conformance/rig.ts'
import { play, sh, turns } from './test-run.ts'
import { openTestSandbox, type TestSandbox } from './test-sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const done = { text: 'Done.' }

test('a check that passes', async () => {
  const { result, ledger } = await play(sandbox, turns(done), { check: 'echo fine' })
  expect(result).toMatchObject({
    outcome: 'done',
    check: { command: 'echo fine', exitCode: 0, passed: true },
  })
  expect(ledger.of('check.started')).toEqual([{ command: 'echo fine', attempt: 1 }])
  expect(ledger.of('check.finished')).toMatchObject([{ attempt: 1, passed: true, output: 'fine' }])
})

test('a check that fails is told, and the agent may mend it', async () => {
  const check = 'echo looking; test -e mended'
  const { result, ledger, requests } = await play(
    sandbox,
    turns(done, sh('touch mended'), { text: 'Now it is.' }),
    { check },
  )
  expect(result).toMatchObject({ outcome: 'done', summary: 'Now it is.', turns: 3, check: { passed: true } })
  expect(ledger.of('check.finished').map(({ attempt, exitCode }) => [attempt, exitCode])).toEqual([
    [1, 1],
    [2, 0],
  ])
  expect(JSON.stringify(requests[1]?.body)).toContain('`echo looking; test -e mended` ended with exit code 1')
  expect(JSON.stringify(requests[1]?.body)).toContain('```\\nlooking\\n```')
})

test('an agent that ends again without a change has given up', async () => {
  const { result, ledger } = await play(sandbox, { turns: [done], repeatLast: true }, { check: 'false' })
  expect(result).toMatchObject({
    outcome: 'check_failed',
    turns: 2,
    check: { command: 'false', exitCode: 1, passed: false },
  })
  expect(ledger.of('check.finished')).toHaveLength(1)
})

test('an agent that keeps changing things ends with its turns', async () => {
  const script = turns(done, sh('true'), done, sh('true'), done, sh('true'), done)
  const { result, ledger } = await play(sandbox, script, { check: 'false', limits: { maxTurns: 5 } })
  expect(result).toMatchObject({ outcome: 'check_failed', turns: 5 })
  expect(result.reason).toContain('5 turns')
  expect(ledger.of('check.finished').map(({ attempt }) => attempt)).toEqual([1, 2, 3])
})

test('turns that are spent before any check', async () => {
  const { result } = await play(sandbox, turns(sh('true'), done), { check: 'true', limits: { maxTurns: 1 } })
  expect(result).toMatchObject({ outcome: 'turns_spent', check: null })
})

test('a budget that is spent when a check has failed', async () => {
  const costly = { ...done, usage: { input: 1_000_000 } }
  const { result } = await play(sandbox, turns(costly, done), { check: 'false', limits: { maxCost: 0.01 } })
  expect(result).toMatchObject({ outcome: 'check_failed', error: { code: 'budget_spent' } })
})

test('a check without end is bounded by the run’s deadline', async () => {
  const { result, ledger } = await play(sandbox, turns(done), {
    check: 'sleep 3001',
    deadline: Date.now() + 400,
  })
  expect(result).toMatchObject({ outcome: 'timed_out', check: null })
  expect(ledger.of('check.started')).toHaveLength(1)
  expect(await countRunning({ wire: () => sandbox.wire }, 'sleep 3001')).toBe(0)
})

test('of a long output the end is recorded', async () => {
  const { ledger } = await play(sandbox, turns(done), { check: 'seq 1 100000' })
  const output = ledger.of('check.finished')[0]?.output ?? ''
  expect(Buffer.byteLength(output)).toBeLessThanOrEqual(8192)
  expect(output).toMatch(/^\d+\n[\s\S]*\n100000\n\[the whole output is in .*check-1\.txt\]$/)
})
