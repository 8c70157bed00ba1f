import { afterEach, describe, expect, it } from 'vitest'
import { Config } from '#core/config/config.ts'
import { modelAccess } from './access.ts'
import { collect, instantRetries } from './conformance/collect.ts'
import { defaultModelId, resolveModel } from './resolve.ts'
import { startScriptedModel } from './scripted/server.ts'
import { makeUpstream } from './upstream.ts'

const upstream = makeUpstream()
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

const configOf = (model: unknown = {}) => Config.parse({ model }).model
const options = (model: unknown = {}) => ({ config: configOf(model), upstream, retry: instantRetries([], 1) })
const scripted = async (models?: string[]) => {
  const model = await startScriptedModel({ repeatLast: true, turns: [{ text: 'Hi.' }] }, { models })
  open.push(model)
  return model
}

describe('which model a run takes', () => {
  it.each([
    ['demo/scripted', {}],
    ['anthropic/claude-sonnet-5-5', { anthropic: { apiKey: 'a' }, openai: { apiKey: 'b' } }],
    ['anthropic/claude-sonnet-5-5', { anthropic: { baseUrl: 'http://127.0.0.1:1' } }],
    ['openai/gpt-6.1-sol', { openai: { apiKey: 'b' } }],
    ['openai/mine', { default: 'openai/mine', anthropic: { apiKey: 'a' } }],
  ])('takes %s by default for %j', async (expected, model) => {
    expect(await defaultModelId(options(model))).toBe(expected)
  })

  it('asks an OpenAI-compatible server for its models', async () => {
    const model = await scripted(['qwen', 'llama'])
    const given = options({ openai: { baseUrl: `${model.url}/v1` } })
    expect(await defaultModelId(given)).toBe('openai/qwen')
    const provider = await resolveModel(given)
    expect((await collect(provider)).text).toBe('Hi.')
    expect(model.requests[0]).toMatchObject({ api: 'chat', model: 'qwen' })
    expect(model.requests[0]?.headers).not.toHaveProperty('authorization')
  })

  it('says so when that server lists none, or does not answer', async () => {
    const model = await scripted([])
    const given = options({ openai: { baseUrl: `${model.url}/v1` } })
    await expect(defaultModelId(given)).rejects.toMatchObject({
      code: 'config_invalid',
      hint: expect.stringContaining('--model openai/NAME'),
    })
    await model.close()
    await expect(defaultModelId(given)).rejects.toMatchObject({ code: 'model_unavailable' })
  })

  it.each([
    ['claude-opus-5-5', { anthropic: { apiKey: 'a' } }, 'anthropic/claude-opus-5-5'],
    ['gpt-6-sol', { openai: { apiKey: 'a' } }, 'openai/gpt-6-sol'],
    ['o4-mini', { openai: { apiKey: 'a' } }, 'openai/o4-mini'],
    ['openai/org/name:tag', { openai: { apiKey: 'a' } }, 'openai/org/name:tag'],
    ['demo/scripted', {}, 'demo/scripted'],
  ])('recognises %s', async (id, model, expected) => {
    expect((await resolveModel({ id, ...options(model) })).id).toBe(expected)
  })

  it.each([
    ['claude-opus-5-5', 'ANTHROPIC_API_KEY'],
    ['openai/gpt-6-sol', 'OPENAI_API_KEY'],
    ['mystery', 'anthropic/NAME'],
    ['anthropic/', 'anthropic/NAME'],
  ])('refuses %s without a key or a family, with a hint', async (id, hint) => {
    await expect(resolveModel({ id, ...options() })).rejects.toMatchObject({
      code: 'config_invalid',
      hint: expect.stringContaining(hint),
    })
  })

  it('speaks the API that the configuration names', async () => {
    const model = await scripted()
    const provider = await resolveModel({
      id: 'openai/x',
      ...options({ openai: { baseUrl: `${model.url}/v1`, api: 'responses' } }),
    })
    expect((await collect(provider)).text).toBe('Hi.')
    expect(model.requests[0]?.api).toBe('responses')
  })
})

describe('which key goes where', () => {
  const config = configOf({ anthropic: { apiKey: 'server-key', baseUrl: 'https://models.example' } })

  it('never sends the server’s key to a URL that came with a run', () => {
    const access = modelAccess(config, { anthropic: { baseUrl: 'https://elsewhere.example' } })
    expect(access.anthropic).toEqual({ apiKey: undefined, baseUrl: 'https://elsewhere.example' })
  })

  it('takes the run’s key before the server’s', () => {
    const access = modelAccess(config, { anthropic: { apiKey: 'run-key' } })
    expect(access.anthropic).toEqual({ apiKey: 'run-key', baseUrl: 'https://models.example' })
    expect(modelAccess(config).anthropic?.apiKey).toBe('server-key')
    expect(modelAccess(config).openai).toBeNull()
  })
})
