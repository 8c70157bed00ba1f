import { describe, expect, it } from 'vitest'
import { bridge, message, scripted, turns } from './conformance/world.ts'

describe('what the model API may not do for a sandbox', () => {
  it.each([
    ['/v1/messages', { mcp_servers: [{ type: 'url', url: 'https://x.example', name: 'x' }] }],
    [
      '/v1/messages',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'image', source: { type: 'url', url: 'https://x.example/?data' } }],
          },
        ],
      },
    ],
    ['/v1/chat/completions', { web_search_options: {} }],
    [
      '/v1/chat/completions',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.example' } }] },
        ],
      },
    ],
    ['/v1/responses', { background: true }],
    [
      '/v1/responses',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://x.example' }] }] },
    ],
  ])('%s with %j is refused', async (path, extra) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const answer = await world.get(path, { method: 'POST', body: { ...message, ...extra } })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('egress policy')
    expect(model.requests).toHaveLength(0)
  })

  it('takes out tools that the API would run, and leaves those of the client', async () => {
    const { model, access } = await scripted({ turns, repeatLast: true })
    const world = await bridge({ access })
    const mine = { name: 'shell', input_schema: { type: 'object' } }
    const bash = { type: 'bash_20250124', name: 'bash' }
    const search = { type: 'web_search_20250305', name: 'web_search' }
    await world.get('/v1/messages', {
      method: 'POST',
      body: { ...message, tools: [mine, bash, search], tool_choice: { type: 'auto' } },
    })
    expect(model.requests[0]?.body.tools).toEqual([mine, bash])
    await world.get('/v1/responses', {
      method: 'POST',
      body: {
        model: 'm',
        input: 'x',
        tools: [{ type: 'mcp', server_url: 'https://x.example' }],
        tool_choice: 'auto',
      },
    })
    expect(model.requests[1]?.body).not.toHaveProperty('tools')
    expect(model.requests[1]?.body).not.toHaveProperty('tool_choice')
  })

  it('takes out tools that come nested, or with the conversation', async () => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const mine = { type: 'function', name: 'shell', parameters: {} }
    const search = { type: 'web_search' }
    await world.get('/v1/responses', {
      method: 'POST',
      body: {
        model: 'm',
        input: [
          { role: 'user', content: 'x' },
          { type: 'additional_tools', role: 'developer', tools: [mine, search] },
        ],
        tools: [{ type: 'namespace', name: 'n', description: '', tools: [search, mine] }],
      },
    })
    expect(model.requests[0]?.body).toMatchObject({
      input: [{}, { tools: [mine] }],
      tools: [{ type: 'namespace', tools: [mine] }],
    })
    expect(JSON.stringify(model.requests[0]?.body)).not.toContain('web_search')
  })

  it('takes out what would change the price', async () => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const dear = { service_tier: 'priority', speed: 'fast', fallbacks: [{ model: 'dear' }] }
    await world.get('/v1/messages', { method: 'POST', body: { ...message, ...dear } })
    expect(model.requests[0]?.body).toEqual(message)
  })

  it('lets URLs pass that are only data', async () => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const messages = [
      { role: 'user', content: 'look at https://x.example' },
      {
        role: 'assistant',
        content: [{ type: 'tool_use', id: 'a', name: 'fetch', input: { url: 'https://x.example' } }],
      },
    ]
    await world.get('/v1/messages', { method: 'POST', body: { ...message, messages } })
    expect(model.requests).toHaveLength(1)
  })
})
