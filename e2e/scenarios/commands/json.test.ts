import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Run } from '#core/run/run.ts'
import { ProviderReport, Sandbox } from '#core/sandbox/sandbox.ts'
import { ServerStatus } from '#core/server/server.ts'
import { contract } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'

interface Setting {
  readonly id: string
  readonly value: unknown
  readonly source: string
}

describe('--json', () => {
  let world: World
  let repo: string
  let run: string
  beforeAll(async () => {
    world = await World.make()
    repo = await world.repository('repo', { 'a.txt': 'one\n' })
    const model = await world.model({
      turns: [
        { calls: [{ name: 'write', input: { path: 'b.txt', content: 'two\n' } }] },
        { text: 'Wrote it.' },
      ],
    })
    const result = await world.forge(['run', '--json', '--repo', repo, '-'], {
      env: { ANTHROPIC_BASE_URL: model.url },
      input: 'Write b.txt,\nover two lines.\n',
    })
    const stream = contract(result)
    expect(stream.events[0]).toMatchObject({ data: { spec: { prompt: 'Write b.txt,\nover two lines.\n' } } })
    run = stream.finished.run
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('gives runs as objects with an id', async () => {
    const runs = Run.array().parse(await world.json(['runs', 'ls']))
    expect(runs).toMatchObject([{ id: run, state: 'finished', outcome: 'done' }])
    expect(Run.parse(await world.json(['runs', 'show', 'last']))).toEqual(runs[0])
    expect(Run.parse(await world.json(['runs', 'show', run.slice(0, 8)]))).toEqual(runs[0])
    expect(Run.parse(await world.json(['runs', 'cancel', run]))).toEqual(runs[0])
  })

  it('gives a diff as files and statistics, and --stat and the patch as text', async () => {
    expect(await world.json(['diff', run])).toMatchObject({
      run,
      stat: { files: 1, insertions: 1, deletions: 0 },
      files: [{ path: 'b.txt' }],
    })
    expect((await world.forge(['diff', run, '--stat'])).stdout).toMatch(/b\.txt[\s\S]*1 file changed/)
    const patch = await world.forge(['diff', run])
    await writeFile(path.join(world.dir, 'work.patch'), patch.stdout)
    await world.git(repo, 'apply', '--check', path.join(world.dir, 'work.patch'))
  })

  it('refuses to apply over the user’s own work, and gives what it did', async () => {
    await writeFile(path.join(repo, 'b.txt'), 'mine\n')
    const refused = await world.forge(['apply', run, '--json'], { cwd: repo })
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/b\.txt/)
    expect(await readFile(path.join(repo, 'b.txt'), 'utf8')).toBe('mine\n')
    await writeFile(path.join(repo, 'b.txt'), '')
    await world.git(repo, 'clean', '-qf')
    expect(await world.json(['apply', run], { cwd: repo })).toMatchObject({ run, mode: 'tree', files: 1 })
    expect(await readFile(path.join(repo, 'b.txt'), 'utf8')).toBe('two\n')
    const branch = await world.json(['apply', run, '--branch', 'work'], { cwd: repo })
    expect(branch).toMatchObject({ run, mode: 'branch', branch: 'work' })
    await world.git(repo, 'branch', 'taken')
    const taken = await world.forge(['apply', run, '--branch', 'taken'], { cwd: repo })
    expect(taken.code).toBe(1)
    expect(taken.stderr).toMatch(/taken/)
    expect((await world.forge(['apply', run, '--branch', 'taken', '--force'], { cwd: repo })).code).toBe(0)
  })

  it('gives sandboxes, and copies both ways under odd names', async () => {
    const made = Sandbox.parse(await world.json(['sandbox', 'create', '--name', 'box', '--memory', '256']))
    expect(made).toMatchObject({ name: 'box', state: 'running', limits: { memoryMb: 256 } })
    expect(Sandbox.array().parse(await world.json(['sandbox', 'ls']))).toMatchObject([{ id: made.id }])
    const odd = path.join(world.dir, "-odd 'name' \u00e4\n$(touch x)")
    await mkdir(path.join(odd, 'sub'), { recursive: true })
    await writeFile(path.join(odd, 'sub', '*.bin'), Buffer.from([0, 255, 10]), { mode: 0o750 })
    expect(await world.json(['sandbox', 'cp', odd, 'box:/tmp/in'])).toMatchObject({ files: 1, bytes: 3 })
    expect(await world.json(['sandbox', 'cp', 'box:/tmp/in', `${odd}.back`])).toMatchObject({
      files: 1,
      bytes: 3,
    })
    expect(await readFile(path.join(`${odd}.back`, 'sub', '*.bin'))).toEqual(Buffer.from([0, 255, 10]))
    const exec = await world.forge(['sandbox', 'exec', 'box', '--', 'cat; echo err >&2; exit 7'], {
      input: 'a\0b',
    })
    expect(exec).toMatchObject({ code: 7, stdout: 'a\0b', stderr: 'err\n' })
    const slow = await world.forge(['sandbox', 'exec', '--timeout', '1s', 'box', '--', 'sleep 100'])
    expect(slow.code).toBe(124)
    const gone = await world.forge(['sandbox', 'exec', 'box', '--', 'kill -9 $$'])
    expect(gone.code).toBe(137)
    expect(Sandbox.parse(await world.json(['sandbox', 'rm', 'box']))).toMatchObject({
      id: made.id,
      state: 'destroyed',
    })
    expect(
      Sandbox.array()
        .parse(await world.json(['sandbox', 'ls', '--all']))
        .map(({ id }) => id),
    ).toContain(made.id)
  })

  it('gives the server, its providers and its settings', async () => {
    expect(ServerStatus.parse(await world.json(['status'])).runs.total).toBeGreaterThan(0)
    const reports = ProviderReport.array().parse(await world.json(['doctor']))
    expect(reports).toMatchObject([{ id: 'bubblewrap', works: true }, { id: 'docker' }])
    const settings = await world.json<Setting[]>(['config', 'ls'])
    expect(new Set(settings.map(({ id }) => id)).size).toBe(settings.length)
    expect(await world.json(['config', 'set', 'run.maxTurns', '5'])).toMatchObject({
      id: 'run.maxTurns',
      value: 5,
    })
    expect(await world.json(['config', 'get', 'run.maxTurns'])).toMatchObject({ value: 5, source: 'file' })
    expect(await world.json(['config', 'unset', 'run.maxTurns'])).toMatchObject({ value: 16 })
    const wrong = await world.forge(['config', 'set', 'run.maxTurns', 'many', '--json'])
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
  })

  it('gives a detached run, whose events are followed from where one was', async () => {
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: 'sleep 1' } }] }, { text: 'Slept.' }],
    })
    const started = Run.parse(
      await world.json(['run', '--detach', 'Sleep'], { env: { ANTHROPIC_BASE_URL: model.url } }),
    )
    expect(started.state).not.toBe('finished')
    const rest = await world.forge(['events', started.id, '--after', '2', '--follow', '--json'])
    expect(rest.code).toBe(0)
    const events = rest.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 3))
    expect(events.at(-1)).toMatchObject({ run: started.id, type: 'run.finished', data: { outcome: 'done' } })
  })

  it('words what there is not on standard error', async () => {
    for (const args of [
      ['runs', 'show', 'run_nothere00'],
      ['diff', 'run_nothere00'],
      ['sandbox', 'rm', 'nobox'],
    ]) {
      const { code, stdout, stderr } = await world.forge([...args, '--json'])
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/run_nothere00|nobox/)
    }
  })
})
