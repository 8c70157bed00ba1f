import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rebuildHistory } from './history.ts'
import { call, play, sh, TestLedger, turns } from './test-run.ts'
import { openTestSandbox, type TestSandbox } from './test-sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const done = { text: 'Done.' }

/** The ledger as a server that died after `count` events left it. */
const cutAfter = (ledger: TestLedger, count: number): TestLedger => {
  const cut = new TestLedger()
  cut.events.push(...ledger.events.slice(0, count))
  return cut
}

const script = turns(
  {
    thinking: 'First.',
    text: 'I begin.',
    calls: [call('write', { path: 'n', content: '1' }), call('read', { path: 'n' })],
  },
  { text: '', calls: [] },
  { text: 'Half', stop: 'max_tokens' },
  sh('echo two >> log'),
  done,
  sh('touch passes'),
  { text: 'Done now.' },
)

describe('a run that was cut off at any event', () => {
  test('goes on to the same end, and runs no call twice', async () => {
    await sandbox.sh('rm -f log passes')
    const check = 'test -e passes'
    const whole = await play(sandbox, script, { check })
    expect(whole.result).toMatchObject({ outcome: 'done', turns: 7, check: { passed: true } })
    const { events } = whole.ledger
    for (let count = 0; count <= events.length; count++) {
      await sandbox.sh('rm -f log passes')
      const ledger = cutAfter(whole.ledger, count)
      const history = rebuildHistory(ledger.events)
      const before = history.turn
      if (ledger.of('tool.finished').length > 2) await sandbox.sh('echo two >> log')
      if (ledger.of('tool.finished').length > 3) await sandbox.sh('touch passes')
      const rest = { turns: script.turns.slice(before) }
      const started = ledger.of('tool.started').length > ledger.of('tool.finished').length
      if (started && before === 6) await sandbox.sh('touch passes')
      const { result } = await play(sandbox, rest.turns.length > 0 ? rest : turns(done), {
        check,
        history,
        ledger,
      })
      expect(result, `cut after ${count}`).toMatchObject({ outcome: 'done', turns: 7, summary: 'Done now.' })
      const calls = ledger.of('tool.started').map((one) => one.call)
      expect(new Set(calls).size).toBe(calls.length)
      expect(
        ledger
          .of('tool.finished')
          .map((one) => one.call)
          .sort(),
      ).toEqual(calls.sort())
      expect(await sandbox.sh('wc -l < log || true')).toMatch(/^[01]?\n?$/)
    }
  })

  test('has the very same conversation', async () => {
    await sandbox.sh('rm -f log passes')
    const { ledger, requests } = await play(sandbox, script, { check: 'test -e passes' })
    const last = ledger.events.findLastIndex(({ type }) => type === 'message.assistant')
    const rest = cutAfter(ledger, last)
    const resumed = await play(sandbox, turns(done), { history: rebuildHistory(rest.events), ledger: rest })
    expect(resumed.requests[0]?.body.messages).toEqual(requests.at(-1)?.body.messages)
  })
})

test('a call that had started is told as interrupted, and the ones after it run', async () => {
  await sandbox.sh('rm -f one two')
  const calls = [call('shell', { command: 'touch one' }), call('shell', { command: 'touch two' })]
  const { ledger } = await play(sandbox, turns({ calls }, done))
  const cut = cutAfter(ledger, ledger.events.findIndex(({ type }) => type === 'tool.started') + 1)
  await sandbox.sh('rm -f one two')
  const history = rebuildHistory(cut.events)
  expect(history.pendingCalls.map(({ started }) => started)).toEqual([true, false])
  const { requests } = await play(sandbox, turns(done), { history, ledger: cut })
  expect(await sandbox.sh('ls one two 2>/dev/null || true')).toBe('two\n')
  expect(requests[0]?.calls.map(({ result }) => result)).toEqual([
    expect.stringContaining(
      'Forge was restarted while this ran. Whether and how far it took effect is not known',
    ),
    '(no output)\n[exit code 0]',
  ])
  expect(cut.of('tool.finished')[0]).toMatchObject({ isError: true, title: 'interrupted' })
})

test('knows where it stands', async () => {
  const { ledger } = await play(sandbox, turns(sh('true'), done), { check: 'true' })
  const history = rebuildHistory(ledger.events)
  expect(history).toMatchObject({
    turn: 2,
    ended: true,
    lastText: 'Done.',
    checkAttempts: 1,
    workSinceCheck: false,
  })
  expect(history.checks).toMatchObject([{ passed: true }])
  expect(history.pendingCalls).toEqual([])
})

test('a run that had already ended well ends at once', async () => {
  const { ledger } = await play(sandbox, turns(done), { check: 'true' })
  const { result, requests } = await play(sandbox, turns(done), {
    check: 'true',
    history: rebuildHistory(ledger.events),
    ledger,
  })
  expect(result.outcome).toBe('done')
  expect(requests).toHaveLength(0)
  expect(ledger.of('check.started')).toHaveLength(1)
})
