import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { countRunning } from '../sandbox/conformance/rig.ts'
import { type Api, call, play, sh, TestLedger, turns } from './test-run.ts'
import { openTestSandbox, type TestSandbox } from './test-sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
const rig = { wire: () => sandbox.wire }
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const done = { text: 'All done.' }

describe.each<Api>(['anthropic', 'chat', 'responses'])('over %s', (api) => {
  test('works with tools until the task is done', async () => {
    await sandbox.write('sum.js', 'module.exports = (a, b) => a - b\n')
    const script = turns(
      { text: 'I look first.', calls: [call('read', { path: 'sum.js' }), call('list', { path: '.' })] },
      { calls: [call('edit', { path: 'sum.js', old: 'a - b', new: 'a + b' })] },
      sh('cat sum.js'),
      { text: 'It adds now.' },
    )
    const { result, ledger, requests } = await play(sandbox, script, { api })
    expect(result).toEqual({ outcome: 'done', summary: 'It adds now.', reason: null, turns: 4, check: null })
    expect(await sandbox.read('sum.js')).toContain('a + b')
    expect(ledger.events.filter(({ type }) => type !== 'message.delta').map(({ type }) => type)).toEqual([
      'message.user',
      'message.assistant',
      'tool.started',
      'tool.started',
      'tool.finished',
      'tool.finished',
      'message.assistant',
      'tool.started',
      'tool.finished',
      'message.assistant',
      'tool.started',
      'tool.finished',
      'message.assistant',
    ])
    expect(ledger.events[0]).toMatchObject({ actor: 'user:test', data: { text: 'Do the task.' } })
    expect(ledger.of('tool.finished').at(-1)).toMatchObject({
      name: 'shell',
      turn: 3,
      title: 'cat sum.js',
      content: 'module.exports = (a, b) => a + b\n[exit code 0]',
      exitCode: 0,
    })
    const last = requests.at(-1)
    expect(last?.tools).toEqual(['shell', 'read', 'edit', 'write', 'search', 'list'])
    expect(last?.system).toContain(`The work tree is ${sandbox.workdir}`)
    expect(last?.calls.map(({ name, result }) => [name, result?.split('\n')[0]])).toEqual([
      ['read', '1\tmodule.exports = (a, b) => a - b'],
      ['list', 'sum.js  33 bytes'],
      ['edit', 'Changed sum.js in 1 place; the first now reads:'],
      ['shell', 'module.exports = (a, b) => a + b'],
    ])
  })
})

describe('what the model says', () => {
  test('streams as deltas that add up to the answer', async () => {
    const text = 'word '.repeat(4000)
    const { ledger } = await play(sandbox, turns({ thinking: 'Hm, hm.', text, chunk: 7 }))
    const deltas = ledger.of('message.delta')
    const all = (kind: string) =>
      deltas
        .filter((delta) => delta.kind === kind)
        .map((delta) => delta.text)
        .join('')
    expect([all('thinking'), all('text')]).toEqual(['Hm, hm.', text])
    expect(deltas.length).toBeLessThan(60)
  })

  test('an unknown tool, and calls that are no JSON, are answered and the run goes on', async () => {
    const script = turns(
      { calls: [call('teleport', { to: 'moon' })] },
      { calls: [{ name: 'shell', rawInput: '{"command": "ec' }] },
      { calls: [call('shell', { cmd: 'ls' })] },
      done,
    )
    const { result, requests, ledger } = await play(sandbox, script)
    expect(result.outcome).toBe('done')
    expect(requests.at(-1)?.calls.map(({ result: told }) => told)).toEqual([
      'There is no tool named teleport. The tools are: shell, read, edit, write, search, list.',
      expect.stringContaining('are no JSON object. They were: {"command": "ec'),
      expect.stringContaining('Nothing was run: the arguments of shell are not valid.'),
    ])
    expect(ledger.of('tool.finished').every(({ isError }) => isError)).toBe(true)
    expect(ledger.of('tool.started')[1]?.input).toBeNull()
  })

  test('two calls with one id get two results', async () => {
    const twin = (command: string) => ({ ...call('shell', { command }), id: 'same' })
    const script = turns({ calls: [twin('echo 1'), twin('echo 2')] }, { calls: [twin('echo 3')] }, done)
    const { requests, ledger } = await play(sandbox, script)
    expect(requests.at(-1)?.calls.map(({ result }) => result?.slice(0, 1))).toEqual(['1', '2', '3'])
    expect(new Set(ledger.of('tool.finished').map((one) => one.call)).size).toBe(3)
  })

  test('an answer that was cut in the middle of a call does not run it', async () => {
    const cut = {
      calls: [{ name: 'write', rawInput: '{"path": "x", "content": "abc' }],
      stop: 'max_tokens' as const,
    }
    const { result, requests } = await play(sandbox, turns(cut, done))
    expect(result.outcome).toBe('done')
    expect(requests.at(-1)?.calls[0]?.result).toContain(
      'reached the length limit in the middle of this call of write',
    )
  })

  test('an answer that was cut goes on', async () => {
    const { result, requests } = await play(sandbox, turns({ text: 'It is', stop: 'max_tokens' }, done))
    expect(result).toMatchObject({ outcome: 'done', turns: 2 })
    expect(JSON.stringify(requests[1]?.body)).toContain('reached the length limit and was cut')
  })

  test('an empty answer is asked again, a few times', async () => {
    const empty = { text: '' }
    expect((await play(sandbox, turns(empty, empty, done))).result.outcome).toBe('done')
    const { result, requests } = await play(sandbox, { turns: [empty], repeatLast: true })
    expect(result).toMatchObject({ outcome: 'failed', turns: 3 })
    expect(result.reason).toContain('empty answers')
    expect(JSON.stringify(requests[1]?.body)).toContain('Your answer was empty')
  })

  test('a refusal ends the run', async () => {
    const { result } = await play(sandbox, turns({ text: 'I will not.', stop: 'refusal' }))
    expect(result).toMatchObject({
      outcome: 'failed',
      summary: 'I will not.',
      reason: 'the model refused the task',
    })
  })

  test('giving up is not done', async () => {
    const { result } = await play(sandbox, turns({ text: 'I tried.\n\nFAILED: there is no compiler' }), {
      check: 'true',
    })
    expect(result).toMatchObject({ outcome: 'failed', reason: 'there is no compiler', check: null })
  })

  test('instructions and the allowlist are in the system prompt; nothing in them is a template', async () => {
    const file = { path: 'AGENTS.md', text: 'Use {{ tabs }} {% raw %}', truncated: true }
    const { requests } = await play(sandbox, turns(done), {
      instructions: { files: [file], nested: ['web/AGENTS.md'] },
      allow: ['registry.npmjs.org:443'],
      check: 'npm test',
      limits: { maxTurns: 7 },
    })
    const system = requests[0]?.system
    for (const part of [
      '# Instructions of the repository, from AGENTS.md\nUse {{ tabs }} {% raw %}\n[AGENTS.md is longer',
      'web/AGENTS.md',
      'allowlist: registry.npmjs.org:443.',
      'at most 7 answers',
      '`npm test`',
    ])
      expect(system).toContain(part)
  })
})

describe('limits', () => {
  test('turns', async () => {
    const { result, ledger } = await play(
      sandbox,
      { turns: [sh('echo again')], repeatLast: true },
      { limits: { maxTurns: 3 } },
    )
    expect(result).toMatchObject({ outcome: 'turns_spent', turns: 3 })
    expect(ledger.of('tool.finished')).toHaveLength(3)
  })

  test('budget: no request is made beyond it', async () => {
    const costly = { ...sh('echo x'), usage: { input: 1_000_000, output: 0 } }
    const { result, requests } = await play(sandbox, turns(costly, done), { limits: { maxCost: 0.5 } })
    expect(result).toMatchObject({ outcome: 'budget_spent', turns: 1, error: { code: 'budget_spent' } })
    expect(requests).toHaveLength(1)
    expect((await play(sandbox, turns(costly, done), { limits: { maxTokens: 1000 } })).result.outcome).toBe(
      'budget_spent',
    )
  })

  test('time, in the middle of a command', async () => {
    const { result, ledger } = await play(sandbox, turns(sh('sleep 2001'), done), {
      deadline: Date.now() + 500,
    })
    expect(result).toMatchObject({ outcome: 'timed_out', turns: 1 })
    expect(ledger.of('tool.finished')).toHaveLength(1)
    expect(await countRunning(rig, 'sleep 2001')).toBe(0)
  })

  test('time, while the model is silent', async () => {
    const silent = turns({ text: 'Well', fault: { kind: 'silence', afterEvents: 4 } })
    const { result } = await play(sandbox, silent, { deadline: Date.now() + 300 })
    expect(result.outcome).toBe('timed_out')
  })
})

describe('being stopped', () => {
  test('in the middle of calls: what started is finished in the ledger, the rest never starts', async () => {
    const controller = new AbortController()
    const ledger = new TestLedger()
    const record: typeof ledger.record = (draft) => {
      if (draft.type === 'tool.started') setTimeout(() => controller.abort(), 100)
      return ledger.record(draft)
    }
    const script = turns({
      calls: [call('shell', { command: 'sleep 2002' }), call('shell', { command: 'touch never' })],
    })
    const { result } = await play(sandbox, script, { signal: controller.signal, ledger, record })
    expect(result).toMatchObject({ outcome: 'cancelled', turns: 1 })
    expect(ledger.of('tool.started')).toHaveLength(1)
    expect(ledger.of('tool.finished')).toMatchObject([
      { isError: true, content: expect.stringContaining('nterrupted') },
    ])
    expect(await countRunning(rig, 'sleep 2002')).toBe(0)
    expect(await sandbox.sh('ls never 2>&1 || true')).toContain('No such file')
  })

  test('the reason decides the outcome', async () => {
    const stopped = (reason: unknown) => play(sandbox, turns(done), { signal: AbortSignal.abort(reason) })
    expect((await stopped(new ForgeError('interrupted', 'Ctrl-C'))).result).toMatchObject({
      outcome: 'interrupted',
      reason: 'Ctrl-C',
    })
    expect((await stopped(new ForgeError('terminated', 'SIGTERM'))).result.outcome).toBe('terminated')
    expect(
      (await stopped(Object.assign(new Error('gone'), { outcome: 'sandbox_lost' }))).result,
    ).toMatchObject({
      outcome: 'sandbox_lost',
      reason: 'gone',
    })
    const { result, requests } = await stopped(undefined)
    expect(result.outcome).toBe('cancelled')
    expect(requests).toHaveLength(0)
  })

  test('while the model streams', async () => {
    const controller = new AbortController()
    const ledger = new TestLedger()
    const record: typeof ledger.record = (draft) => {
      if (draft.type === 'message.delta') controller.abort()
      return ledger.record(draft)
    }
    const endless = turns({ fault: { kind: 'endless', bytesPerEvent: 100 } })
    const { result } = await play(sandbox, endless, { signal: controller.signal, ledger, record })
    expect(result).toMatchObject({ outcome: 'cancelled', turns: 0 })
  })
})

describe('faults', () => {
  test('an overloaded model is tried again, and that is recorded', async () => {
    const overloaded = { text: 'Half an ans', fault: { kind: 'error' as const, afterEvents: 4 } }
    const { result, ledger } = await play(sandbox, turns(overloaded, done))
    expect(result.outcome).toBe('done')
    expect(ledger.of('model.retried')).toMatchObject([
      { attempt: expect.any(Number), reason: expect.any(String) },
    ])
    const types = ledger.events.map(({ type }) => type)
    expect(types.indexOf('model.retried')).toBeLessThan(types.lastIndexOf('message.delta'))
  })

  test('a model that cannot be reached, or that refuses', async () => {
    const down = { turns: [{ fault: { kind: 'status' as const, status: 529 } }], repeatLast: true }
    expect((await play(sandbox, down)).result).toMatchObject({
      outcome: 'model_unavailable',
      turns: 0,
      error: { code: 'model_unavailable' },
    })
    const wrongKey = turns({ fault: { kind: 'status', status: 401 } })
    expect((await play(sandbox, wrongKey)).result).toMatchObject({
      outcome: 'model_unavailable',
      error: { code: 'model_rejected' },
    })
  })

  test('an answer without end', async () => {
    const { result } = await play(sandbox, {
      turns: [{ fault: { kind: 'endless', bytesPerEvent: 500_000 } }],
      repeatLast: true,
    })
    expect(result).toMatchObject({ outcome: 'model_unavailable', error: { code: 'model_rejected' } })
  })

  test('a sandbox that dies under a command', async () => {
    const own = await openTestSandbox()
    const ledger = new TestLedger()
    const record: typeof ledger.record = (draft) => {
      if (draft.type === 'tool.started') setTimeout(() => own.lose(), 50)
      return ledger.record(draft)
    }
    const { result } = await play(own, turns(sh('sleep 2003')), { ledger, record })
    expect(result).toMatchObject({ outcome: 'sandbox_lost', error: { code: 'sandbox_lost' } })
    expect(ledger.of('tool.finished')).toMatchObject([{ isError: true }])
    await own[Symbol.asyncDispose]()
  })

  test('a ledger that cannot be written is the caller’s to know', async () => {
    const full = new ForgeError('disk_full', 'no space')
    for (const type of [
      'message.user',
      'message.delta',
      'message.assistant',
      'tool.started',
      'tool.finished',
    ]) {
      const ledger = new TestLedger()
      const record: typeof ledger.record = (draft) =>
        draft.type === type ? Promise.reject(full) : ledger.record(draft)
      await expect(play(sandbox, turns({ text: 'x', ...sh('true') }, done), { record })).rejects.toBe(full)
    }
  })
})

describe('side by side', () => {
  test('neighbours that only read overlap; what changes things waits for them', async () => {
    await sandbox.sh('mkdir -p side; echo a > side/a')
    const script = turns(
      {
        calls: [
          call('list', { path: 'side' }),
          call('search', { pattern: 'a', path: 'side' }),
          call('write', { path: 'side/b', content: 'b' }),
          call('list', { path: 'side' }),
        ],
      },
      done,
    )
    const { ledger, requests } = await play(sandbox, script)
    const order = ledger.events.flatMap(({ type, data }) =>
      type === 'tool.started' || type === 'tool.finished' ? `${type.slice(5, 6)} ${data.name}` : [],
    )
    expect(order.slice(0, 2)).toEqual(['s list', 's search'])
    expect(order.slice(4)).toEqual(['s write', 'f write', 's list', 'f list'])
    expect(requests.at(-1)?.calls.map(({ result }) => result)).toEqual([
      'a  2 bytes',
      'side/a:1:a',
      expect.stringContaining('Wrote side/b'),
      'a  2 bytes\nb  1 bytes',
    ])
  })
})
