import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract, only } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'

const enough = { text: 'That is all.' }
const shell = { name: 'shell', input: { command: 'echo fine' } }

const apis: [name: string, env: (url: string) => Record<string, string>, args: string[]][] = [
  ['Anthropic Messages', (url) => ({ ANTHROPIC_BASE_URL: url }), []],
  [
    'OpenAI Chat Completions',
    (url) => ({ OPENAI_BASE_URL: `${url}/v1`, FORGE_MODEL_OPENAI_API: 'chat' }),
    ['--model', 'openai/scripted'],
  ],
  [
    'OpenAI Responses',
    (url) => ({ OPENAI_BASE_URL: `${url}/v1`, FORGE_MODEL_OPENAI_API: 'responses' }),
    ['--model', 'openai/scripted'],
  ],
]

describe.each(apis)('a model that errs, over %s', (_name, env, args) => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  async function play(turns: object[], ...more: string[]) {
    const model = await world.model({ turns, repeatLast: true })
    const result = await world.forge(['run', '--json', ...args, ...more, 'Try'], { env: env(model.url) })
    return { ...contract(result), requests: model.requests }
  }

  it.each([
    ['a tool that does not exist', { name: 'teleport', input: { to: 'the moon' } }],
    ['arguments that are not JSON', { name: 'shell', rawInput: 'command = "ls' }],
    ['truncated JSON', { name: 'shell', rawInput: '{"command": "ec' }],
    ['JSON that is no object', { name: 'shell', rawInput: '[1, 2]' }],
    ['arguments of the wrong type', { name: 'shell', input: { command: 17 } }],
    ['a path out of the work tree', { name: 'read', input: { path: '../../etc/shadow' } }],
  ])('calls with %s: it is told, and goes on', async (_what, call) => {
    const { events, finished } = await play([{ calls: [call] }, { calls: [shell] }, enough])
    expect(finished.data).toMatchObject({ outcome: 'done', turns: 3 })
    expect(only(events, 'tool.finished').map(({ data }) => data.isError)).toEqual([true, false])
  })

  it.each([
    ['cut', { kind: 'cut', afterEvents: 4 }],
    ['ended too early', { kind: 'end', afterEvents: 4 }],
    ['broken off by an error', { kind: 'error', afterEvents: 4 }],
    ['continued with garbage', { kind: 'garbage', afterEvents: 4 }],
  ])('answers with a stream that is %s: it is asked again', async (_what, fault) => {
    const { events, finished } = await play([{ text: 'A long story. '.repeat(20), fault }, enough])
    expect(finished.data).toMatchObject({ outcome: 'done', summary: 'That is all.' })
    expect(only(events, 'model.retried')).toHaveLength(1)
  })

  it('answers without an end: the limits end it', async () => {
    const { finished } = await play([{ fault: { kind: 'endless' } }], '--timeout', '8s')
    expect(finished.data.exitCode).toBeGreaterThan(0)
    expect(['timed_out', 'model_unavailable', 'budget_spent', 'turns_spent']).toContain(finished.data.outcome)
  }, 60_000)

  it('sends one event of 10 MB: the run ends, and its events stay small', async () => {
    const { events, finished } = await play([{ fault: { kind: 'huge' } }], '--timeout', '60s')
    expect(finished.data.exitCode).not.toBe(6)
    for (const event of events) expect(JSON.stringify(event).length).toBeLessThan(2_000_000)
  }, 90_000)
})
