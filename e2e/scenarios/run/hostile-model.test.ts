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

  it('calls what cannot be called: it is told each time, and goes on', async () => {
    const { events, finished, requests } = await play([
      { calls: [{ name: 'teleport', input: { to: 'the moon' } }] },
      { calls: [{ name: 'shell', rawInput: 'command = "ls' }] },
      { calls: [{ name: 'shell', rawInput: '{"command": "ec' }] },
      { calls: [{ name: 'shell', rawInput: '[1, 2]' }] },
      { calls: [{ name: 'shell', input: { command: 17 } }] },
      { calls: [{ name: 'read', input: { path: '../../etc/shadow' } }] },
      { calls: [shell] },
      enough,
    ])
    expect(finished.data).toMatchObject({ outcome: 'done', turns: 8 })
    const tools = only(events, 'tool.finished').map(({ data }) => data)
    expect(tools.map(({ isError }) => isError)).toEqual([true, true, true, true, true, true, false])
    expect(tools[0]?.content).toMatch(/teleport/)
    expect(requests.at(-1)?.calls.map(({ result }) => result === null)).toEqual(tools.map(() => false))
  })

  it('answers with streams that break off in every way: it is asked again each time', async () => {
    const story = { text: 'A long story. '.repeat(20) }
    const { events, finished } = await play([
      { ...story, fault: { kind: 'cut', afterEvents: 4 } },
      { calls: [shell] },
      { ...story, fault: { kind: 'end', afterEvents: 4 } },
      { calls: [shell] },
      { ...story, fault: { kind: 'error', afterEvents: 4 } },
      { calls: [shell] },
      { ...story, fault: { kind: 'garbage', afterEvents: 4 } },
      enough,
    ])
    expect(finished.data).toMatchObject({ outcome: 'done', summary: 'That is all.', turns: 4 })
    expect(only(events, 'model.retried')).toHaveLength(4)
    expect(
      only(events, 'message.assistant').every(({ data }) => !JSON.stringify(data).includes('story')),
    ).toBe(true)
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
