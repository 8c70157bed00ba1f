import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { RunOutcome } from '#core/run/run.ts'
import { buildProgram, serve, type TestProgram, waitFor } from './testkit/program.ts'
import { finished, workEvents } from './testkit/script.ts'
import type { TestServer } from './testkit/server.ts'

let program: TestProgram
let server: TestServer

beforeAll(async () => {
  program = await buildProgram()
  server = await serve(program)
})
afterAll(async () => {
  await server?.kill()
  await program?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents, finished('done'))
  server.runs.onCancel = () => {}
})

const validator = async () => {
  const schema = JSON.parse(await readFile('core/event/forge.events.1.schema.json', 'utf8'))
  // The `at` format is said by a pattern, too.
  return new Ajv2020({ strict: false, validateFormats: false }).compile(schema)
}

const wrong = (errors: { instancePath: string; message?: string }[] | null | undefined): string =>
  (errors ?? [])
    .filter(({ instancePath }) => instancePath !== '/type')
    .map(({ instancePath, message }) => `${instancePath} ${message}`)
    .join('\n')

/** Parses lines and asserts the whole contract of the stream. */
async function assertStream(stdout: string): Promise<Event[]> {
  expect(stdout.endsWith('\n')).toBe(true)
  const valid = await validator()
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const event = JSON.parse(line)
      expect(valid(event) || `${line}\n${wrong(valid.errors)}`).toBe(true)
      return event as Event
    })
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1))
  expect(events.map(({ schema }) => schema)).toEqual([
    'forge.events/1',
    ...Array.from({ length: events.length - 1 }, () => undefined),
  ])
  expect(events.at(-1)?.type).toBe('run.finished')
  expect(new Set(events.map(({ run }) => run)).size).toBe(1)
  return events
}

const jsonRun = ['run', 'mend it', '--json']

describe('forge run --json', () => {
  test('is a stream that keeps its contract, and nothing else', async () => {
    const result = await program.run(jsonRun)
    expect(result.stderr).toMatch(/^there is nothing to take/)
    const events = await assertStream(result.stdout)
    expect(events).toHaveLength(workEvents.length + 2)
    expect(result.code).toBe(0)
  })

  test.each<[RunOutcome, number]>([
    ['done', 0],
    ['failed', 5],
    ['check_failed', 5],
    ['model_unavailable', 4],
    ['provider_unavailable', 4],
    ['internal', 6],
    ['denied', 7],
    ['budget_spent', 8],
    ['sandbox_lost', 9],
    ['timed_out', 124],
  ])('outcome %s exits with %i', async (outcome, code) => {
    server.runs.onCreate = (run) => server.runs.append(run.id, finished(outcome))
    const result = await program.run(jsonRun)
    await assertStream(result.stdout)
    expect(result.code).toBe(code)
  })

  test.each<[NodeJS.Signals, 'interrupted' | 'terminated', number]>([
    ['SIGINT', 'interrupted', 130],
    ['SIGTERM', 'terminated', 143],
    ['SIGHUP', 'terminated', 143],
  ])('%s cancels the run and waits for its end', async (signal, outcome, code) => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents)
    server.runs.onCancel = (id) => server.runs.append(id, finished(outcome))
    const { child, result } = program.start(jsonRun)
    await waitFor(child.stdout as NodeJS.ReadableStream, /workspace\.captured/)
    child.kill(signal)
    const { stdout, code: exit } = await result
    const events = await assertStream(stdout)
    expect(events.at(-1)).toMatchObject({ actor: 'server', data: { outcome } })
    expect(server.runs.cancelled.at(-1)?.outcome).toBe(outcome)
    expect(exit).toBe(code)
  })

  test('SIGINT before there is a run ends it, and leaves nothing behind', async () => {
    const count = server.runs.created.length
    const bin = path.join(program.home, 'bin')
    await mkdir(bin, { recursive: true })
    // A repository that takes long to read.
    const script = '#!/bin/sh\ncase " $* " in *" ls-files "*) exec sleep 20 ;; esac\nexec /usr/bin/git "$@"\n'
    await writeFile(path.join(bin, 'git'), script, { mode: 0o755 })
    const repo = path.join(program.home, 'repo')
    await mkdir(path.join(repo, 'tmp'), { recursive: true })
    await writeFile(path.join(repo, 'file'), 'x')
    const tmp = path.join(program.home, 'tmp')
    await mkdir(tmp)
    const { child, result } = program.start(jsonRun, {
      cwd: repo,
      env: { PATH: `${bin}:/usr/bin:/bin`, TMPDIR: tmp },
    })
    while ((await readdir(tmp)).length === 0) await sleep(20)
    await sleep(500)
    child.kill('SIGINT')
    expect(await result).toMatchObject({ code: 130, stdout: '' })
    expect(server.runs.created.length).toBe(count)
    expect(await readdir(tmp)).toEqual([])
  })

  test('a second SIGINT leaves at once, with an end of the client’s own', async () => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents)
    const { child, result } = program.start(jsonRun)
    await waitFor(child.stdout as NodeJS.ReadableStream, /workspace\.captured/)
    child.kill('SIGINT')
    await waitFor(child.stderr as NodeJS.ReadableStream, /once more leaves at once/)
    child.kill('SIGINT')
    const { stdout, code } = await result
    const events = await assertStream(stdout)
    expect(events.at(-1)).toMatchObject({
      actor: 'client',
      data: {
        outcome: 'interrupted',
        exitCode: 130,
        turns: 1,
        cost: 0.01,
        diff: { files: 2 },
        check: { passed: true },
      },
    })
    expect(code).toBe(130)
  })

  test('a server that comes back is followed on, exactly once each', async () => {
    let id = '' as RunId
    server.runs.onCreate = (run) => {
      id = run.id
      server.runs.append(run.id, ...workEvents.slice(0, 4))
    }
    const { child, result } = program.start(jsonRun)
    await waitFor(child.stdout as NodeJS.ReadableStream, /at the test/)
    await server.kill()
    server.runs.append(id, ...workEvents.slice(4))
    await server.listen()
    await waitFor(child.stdout as NodeJS.ReadableStream, /workspace\.captured/)
    server.runs.append(id, finished('done'))
    const { stdout, stderr, code } = await result
    expect(await assertStream(stdout)).toHaveLength(workEvents.length + 2)
    expect(stderr).toMatch(/does not answer; looking for it\n(.*\n)*the server is back/)
    expect(code).toBe(0)
  })

  test('a reader that leaves ends it quietly, and the run with it', async () => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents)
    const { child, result } = program.start(jsonRun)
    await waitFor(child.stdout as NodeJS.ReadableStream, /workspace\.captured/)
    const before = server.runs.cancelled.length
    child.stdout?.destroy()
    const id = server.runs.runs[0]?.id as RunId
    for (let i = 0; i < 3; i++) server.runs.append(id, workEvents[3] as (typeof workEvents)[number])
    const { stderr, code } = await result
    expect(stderr).not.toContain('error')
    expect(code).toBe(141)
    expect(server.runs.cancelled.length).toBe(before + 1)
  })

  test('a full disk is an error, and ends the run', async () => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents)
    const before = server.runs.cancelled.length
    const result = await program.run(jsonRun, { stdout: '/dev/full' })
    expect(result.stderr).toContain('no space is left')
    expect(result.code).toBe(1)
    expect(server.runs.cancelled.length).toBe(before + 1)
  })

  test('before there is a run, an error is on standard error only', async () => {
    const result = await program.run(['run', 'x', '--json', '--repo', '/nonexistent'])
    expect(result.stdout).toBe('')
    expect(result.stderr).toContain('error: ')
    expect(result.code).toBe(1)
  })
})

describe('the events of a run', () => {
  test('are lines, an array, or words', async () => {
    await program.run(['run', 'x'])
    const lines = await program.run(['events', '--json'])
    const events = await assertStream(lines.stdout)
    const array = JSON.parse((await program.run(['runs', 'events', '--json'])).stdout)
    expect(array).toEqual(events.map(({ schema: _first, ...event }) => event))
    expect((await program.run(['events'])).stdout).toContain('check passed')
    const after = JSON.parse((await program.run(['runs', 'events', '--json', '--after', '999'])).stdout)
    expect(after).toEqual([])
  })

  test('followed, end with the run, and start where asked', async () => {
    const { stdout, code } = await program.run(['events', '--follow', '--json', '--after', '11'])
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ seq, schema }) => [seq, schema])).toEqual([
      [12, 'forge.events/1'],
      [13, undefined],
    ])
    expect(code).toBe(0)
  })

  test('have a schema that is printed', async () => {
    const { stdout } = await program.run(['events', '--schema'])
    expect(JSON.parse(stdout)).toEqual(
      JSON.parse(await readFile('core/event/forge.events.1.schema.json', 'utf8')),
    )
  })
})

describe('forge run', () => {
  test('gives the server what the command line says', async () => {
    await program.run(
      [
        'run',
        '-',
        '--check',
        'true',
        '--max-turns',
        '3',
        '--max-cost',
        '1.5',
        '--timeout',
        '2m',
        '--allow',
        'a.example:443',
        '--model',
        'anthropic/x',
        '--repo',
        'https://example.com/x.git',
      ],
      {
        input: 'from stdin\n',
        env: { ANTHROPIC_API_KEY: 'sk-test', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' },
      },
    )
    const { spec, by } = server.runs.created.at(-1) ?? {}
    expect(spec).toMatchObject({
      prompt: 'from stdin\n',
      source: { kind: 'url', url: 'https://example.com/x.git' },
      model: 'anthropic/x',
      check: 'true',
      limits: { maxTurns: 3, maxCost: 1.5, timeout: 120 },
      allow: ['a.example:443'],
    })
    expect(by?.credentials).toEqual({
      anthropic: { apiKey: 'sk-test' },
      openai: { baseUrl: 'http://127.0.0.1:9/v1' },
    })
  })

  test('--detach gives the run and leaves it alone', async () => {
    server.runs.onCreate = () => {}
    const result = await program.run(['run', 'x', '--detach', '--json'])
    expect(JSON.parse(result.stdout)).toMatchObject({ id: server.runs.runs[0]?.id, state: 'queued' })
    expect(result.code).toBe(0)
  })

  test('says the end, and what to do next', async () => {
    const result = await program.run(['run', 'x'])
    expect(result.stdout).toContain('forge apply run_')
    expect(result.stdout).not.toMatch(/(?!\n)\p{Cc}/u)
  })

  test.each([
    [['run']],
    [['run', '']],
    [['run', '-']],
    [['run', 'x', '--apply', '--detach']],
    [['run', 'x', '--repo', 'a', '--repo', 'b']],
    [['bogus']],
    [['runs', 'ls', '--bogus']],
  ])('%j is a usage error', async (argv) => {
    const result = await program.run(argv)
    expect(result.stderr).toMatch(/^error: .*\n {2}usage: forge/)
    expect(result.stdout).toBe('')
    expect(result.code).toBe(2)
  })

  test('a base URL that is none is a configuration error', async () => {
    const result = await program.run(['run', 'x'], { env: { ANTHROPIC_BASE_URL: 'nowhere' } })
    expect(result.code).toBe(3)
  })
})
