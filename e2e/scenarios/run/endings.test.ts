import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunOutcome } from '#core/run/run.ts'
import { contract, only } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'
import type { ScriptInput } from '#server/models/scripted/script.ts'

const looking = { calls: [{ name: 'list', input: { path: '.' } }] }
const waiting: ScriptInput = { turns: [{ calls: [{ name: 'shell', input: { command: 'sleep 600' } }] }] }

/** Every way for a run to end that needs no broken server, with the stream held to its contract. */
const endings: {
  name: string
  script: ScriptInput
  args?: string[]
  outcome: RunOutcome
  code: number
}[] = [
  { name: 'the agent is done', script: { turns: [{ text: 'Nothing to do.' }] }, outcome: 'done', code: 0 },
  {
    name: 'the check keeps failing',
    script: { turns: [{ text: 'Done.' }], repeatLast: true },
    args: ['--check', 'echo still broken; false', '--max-turns', '3'],
    outcome: 'check_failed',
    code: 5,
  },
  {
    name: 'the turns are spent',
    script: { turns: [looking], repeatLast: true },
    args: ['--max-turns', '2'],
    outcome: 'turns_spent',
    code: 5,
  },
  {
    name: 'the tokens are spent',
    script: { turns: [{ ...looking, usage: { input: 900, output: 100 } }], repeatLast: true },
    args: ['--max-tokens', '1500'],
    outcome: 'budget_spent',
    code: 8,
  },
  {
    name: 'the money is spent',
    script: { turns: [{ ...looking, usage: { input: 900_000, output: 100_000 } }], repeatLast: true },
    args: ['--max-cost', '0.5', '--model', 'anthropic/claude-sonnet-4-5'],
    outcome: 'budget_spent',
    code: 8,
  },
  {
    name: 'the model refuses the key',
    script: { turns: [{ fault: { kind: 'status', status: 401 } }], repeatLast: true },
    outcome: 'model_unavailable',
    code: 4,
  },
  {
    name: 'the model never has capacity',
    script: { turns: [{ fault: { kind: 'status', status: 529, retryAfter: '0' } }], repeatLast: true },
    args: ['--timeout', '60s'],
    outcome: 'model_unavailable',
    code: 4,
  },
  { name: 'the time is over', script: waiting, args: ['--timeout', '3s'], outcome: 'timed_out', code: 124 },
]

describe('forge run --json', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each(endings)('says that $name', async ({ script, args = [], outcome, code }) => {
    const model = await world.model(script)
    const result = await world.forge(['run', '--json', ...args, 'Look around'], {
      env: { ANTHROPIC_BASE_URL: model.url },
    })
    const { finished } = contract(result)
    expect(finished.data, result.stdout).toMatchObject({ outcome, exitCode: code })
    expect(finished.actor).toBe('server')
  })

  it('is the same stream when it is read again', async () => {
    const model = await world.model({ turns: [looking, { text: 'Seen.' }] })
    const live = await world.forge(['run', '--json', 'Look around'], {
      env: { ANTHROPIC_BASE_URL: model.url },
    })
    const { events, finished } = contract(live)
    const again = await world.json(['runs', 'events', finished.run])
    expect(again).toEqual(events.map(({ schema: _, ...event }) => event))
    const rest = await world.forge(['events', finished.run, '--after', '3', '--follow', '--json'])
    const lines = rest.stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual(events.slice(3).map(({ seq }) => seq))
    expect(only(events, 'tool.finished')).toHaveLength(1)
  })
})
