import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, World } from '#e2e/world/world.ts'

const files = {
  'AGENTS.md': 'Mind the house rules.\n',
  'package.json': JSON.stringify({ name: 'sum', type: 'module', scripts: { test: 'node --test' } }),
  'sum.js': 'export const sum = (a, b) => a - b\n',
  'sum.test.js':
    "import test from 'node:test'\nimport assert from 'node:assert'\nimport { sum } from './sum.js'\ntest('sum', () => assert.equal(sum(2, 3), 5))\n",
}

/** What a model would do: look, mend, say so. */
const fixing = {
  by: 'conversation' as const,
  turns: [
    { text: 'I run the tests.', calls: [{ name: 'shell', input: { command: 'npm test' } }] },
    { calls: [{ name: 'edit', input: { path: 'sum.js', old: 'a - b', new: 'a + b' } }] },
    { text: 'sum() subtracted; it adds now.' },
  ],
}

describe('forge run', () => {
  let world: World
  let repo: string
  beforeAll(async () => {
    world = await World.make()
    repo = await world.repository('repo', files)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const run = (env: Record<string, string>, ...args: string[]) =>
    world.forge(['run', '--json', '--repo', repo, '--check', 'npm test', ...args, 'Make the tests pass'], {
      env,
    })

  it.each([
    ['Anthropic Messages', 'anthropic'],
    ['OpenAI Chat Completions', 'chat'],
    ['OpenAI Responses', 'responses'],
  ])('does the main job over %s', async (_name, api) => {
    const model = await world.model(fixing)
    if (api !== 'anthropic') await world.json(['config', 'set', 'model.openai.api', api])
    const { code, stdout, stderr } = await (api === 'anthropic'
      ? run({ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-test' })
      : run({ OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: 'sk-test' }, '--model', 'openai/scripted'))
    expect(code, stdout + stderr).toBe(0)
    expect(new Set(model.requests.map((request) => request.api))).toEqual(new Set([api]))
    expect(model.requests[0]?.system).toContain('Mind the house rules.')
    const events = eventsOf(stdout)
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
    expect(events[0]).toMatchObject({ schema: 'forge.events/1', type: 'run.created' })
    expect(events.at(-1)).toMatchObject({
      type: 'run.finished',
      data: {
        outcome: 'done',
        exitCode: 0,
        check: { passed: true },
        diff: { files: 1, insertions: 1, deletions: 1 },
      },
    })
    expect(await readFile(path.join(repo, 'sum.js'), 'utf8')).toContain('a - b')
  })

  it('gives the work back as a diff, a branch, and changes of the working tree', async () => {
    const diff = await world.forge(['diff', 'last'])
    expect(diff.stdout).toContain('-export const sum = (a, b) => a - b')
    const branch = await world.forge(['apply', 'last', '--branch', 'mended'], { cwd: repo })
    expect(branch.code, branch.stderr).toBe(0)
    expect(await world.git(repo, 'show', 'mended:sum.js')).toContain('a + b')
    const tree = await world.forge(['apply', 'last'], { cwd: repo })
    expect(tree.code, tree.stderr).toBe(0)
    expect(await readFile(path.join(repo, 'sum.js'), 'utf8')).toContain('a + b')
    await world.git(repo, 'checkout', '-q', '--', '.')
  })

  it('exits 5 when the check keeps failing', async () => {
    const model = await world.model({ turns: [{ text: 'Done.' }], repeatLast: true })
    const { code, stdout } = await run({ ANTHROPIC_BASE_URL: model.url })
    expect(code).toBe(5)
    expect(eventsOf(stdout).at(-1)).toMatchObject({
      data: { outcome: 'check_failed', check: { passed: false } },
    })
  })

  it('exits 8 when the budget is spent', async () => {
    const model = await world.model({
      turns: [
        { calls: [{ name: 'list', input: { path: '.' } }], usage: { input: 900_000, output: 100_000 } },
      ],
      repeatLast: true,
    })
    const { code, stdout } = await run({ ANTHROPIC_BASE_URL: model.url }, '--max-tokens', '1500000')
    expect(code).toBe(8)
    expect(eventsOf(stdout).at(-1)).toMatchObject({ data: { outcome: 'budget_spent', turns: 2 } })
  })

  it('exits 4 when the model cannot be reached', async () => {
    const { code, stdout } = await run({ ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' })
    expect(code).toBe(4)
    expect(eventsOf(stdout).at(-1)).toMatchObject({ data: { outcome: 'model_unavailable' } })
  })

  it('leaves no sandbox behind, and nothing of a workspace', async () => {
    expect(await world.json(['sandbox', 'ls'])).toEqual([])
    const left = await readdir(path.join(world.home, 'data/workspaces'), { recursive: true })
    expect(left.filter((name) => !['origins', 'tmp'].includes(name))).toEqual([])
  })
})
