import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract, only } from '#e2e/world/contract.ts'
import { guestRequest } from '#e2e/world/guest-request.ts'
import { World } from '#e2e/world/world.ts'

const ask = (model: string) =>
  guestRequest({
    url: 'http://127.0.0.1:4141/v1/messages',
    direct: true,
    method: 'POST',
    headers: {
      'x-api-key': 'mine',
      authorization: 'Bearer mine',
      'anthropic-version': '2023-06-01',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ model, max_tokens: 50, messages: [{ role: 'user', content: 'from inside' }] }),
  })

describe('the model gateway, from inside a run', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** An agent that runs the command, and a model that also answers what the command asks it. */
  async function play(command: string, ...args: string[]) {
    const model = await world.model((request) => {
      if (request.prompt.includes('from inside'))
        return { text: 'hello, program', usage: { input: 700, output: 30 } }
      return request.turns === 0 ? { calls: [{ name: 'shell', input: { command } }] } : { text: 'ok' }
    })
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-the-servers-own' }
    const result = await world.forge(['run', '--json', ...args, 'Ask a model'], { env })
    return { ...contract(result), requests: model.requests }
  }

  it('answers a program, drops what credentials it sent, and counts into the run', async () => {
    const { events, finished, requests } = await play(ask('claude-sonnet-4-5'))
    const [tool] = only(events, 'tool.finished')
    expect(tool?.data.content).toMatch(/hello, program[\s\S]*\n200/)
    const inner = requests.find(({ prompt }) => prompt === 'from inside')
    expect(inner?.headers).toMatchObject({ 'x-api-key': 'sk-the-servers-own' })
    expect(JSON.stringify(inner?.headers)).not.toContain('mine')
    expect(only(events, 'model.proxied')).toMatchObject([
      {
        actor: 'sandbox',
        data: { api: 'anthropic.messages', status: 200, usage: { tokens: { input: 700 } } },
      },
    ])
    expect(finished.data.tokens).toMatchObject({ input: 900, output: 70 })
  })

  it('stops a program that has spent the budget, and the run with it', async () => {
    const loop = `for i in 1 2 3 4 5 6; do ${ask('claude-sonnet-4-5')}; done`
    const { events, finished, requests } = await play(loop, '--max-tokens', '2000')
    expect(finished.data).toMatchObject({ outcome: 'budget_spent', exitCode: 8 })
    expect(requests.filter(({ prompt }) => prompt === 'from inside').length).toBeLessThan(5)
    expect(only(events, 'model.proxied').some(({ data }) => data.status === 402 || data.reason)).toBe(true)
  })

  it('knows only the paths and methods of the models’ APIs', async () => {
    const get = (path: string, method = 'GET') =>
      `${guestRequest({ url: `http://127.0.0.1:4141${path}`, direct: true, method })} | tail -n 1`
    const command = [
      get('/v1/files'),
      get('/'),
      get('/v1/messages/../files'),
      get('/v1/messages', 'DELETE'),
      get('/v1/organizations'),
    ].join('; ')
    const { events } = await play(command)
    const [tool] = only(events, 'tool.finished')
    expect(tool?.data.content).toMatch(/^(40[345]\n){5}/)
  })

  it('serves the real Claude Code, installed from npm inside the sandbox', async () => {
    const command = [
      'npm install -g @anthropic-ai/claude-code > /tmp/npm.log 2>&1 || { cat /tmp/npm.log; exit 3; }',
      'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 claude -p "make the file" --dangerously-skip-permissions --model claude-sonnet-4-5 < /dev/null',
    ].join('\n')
    const model = await world.model((request) => {
      if (request.tools.includes('shell'))
        return request.turns === 0 ? { calls: [{ name: 'shell', input: { command } }] } : { text: 'ok' }
      if (!request.tools.includes('Bash') || request.turns > 0) return { text: 'Claude Code is done.' }
      const input = { command: 'echo by claude > by-claude.txt', description: 'makes a file' }
      return { calls: [{ name: 'Bash', input }] }
    })
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-the-servers-own' }
    const result = await world.forge(['run', '--json', 'Let another agent do it'], { env })
    const { events, finished } = contract(result)
    expect(only(events, 'tool.finished')[0]?.data.content, result.stdout).toMatch(/Claude Code is done\./)
    expect(finished.data).toMatchObject({ outcome: 'done', diff: { files: 1, insertions: 1 } })
    expect(only(events, 'model.proxied').length).toBeGreaterThan(1)
    expect(new Set(model.requests.map(({ headers }) => headers['x-api-key']))).toEqual(
      new Set(['sk-the-servers-own']),
    )
  }, 180_000)
})
