import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { duplexPair } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { bridge, key, message, proxied, scripted, turns, upstreamOf } from './conformance/world.ts'

describe('what passes the gateway', () => {
  it.each([
    ['GET', '/', 404],
    ['POST', '/v1/files', 404],
    ['GET', '/v1/messages', 405],
    ['DELETE', '/v1/models/one', 405],
    ['POST', '/v1/models', 405],
    ['POST', '/v1/messages/batches', 404],
    ['POST', '/v1/messages/../files', 404],
    ['POST', '/v1/messages%2f', 404],
    ['POST', '//v1/messages', 404],
    ['GET', '/v1/models/..', 404],
    ['GET', '/v1/models/%2e%2e/files', 404],
    ['POST', 'http://elsewhere.example/v1/messages', 404],
    ['POST', '/v1/constructor', 404],
  ])('%s %s is answered with %i', async (method, path, status) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access })
    const answer = await world.get(path, { method, headers: { 'content-length': '0' } })
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toHaveProperty('error.message')
    expect(model.requests).toHaveLength(0)
  })

  it('drops the client’s credentials, cookies and hop-by-hop headers and adds the server’s key', async () => {
    let seen: IncomingMessage | undefined
    const { access } = await upstreamOf((request) => {
      seen = request
      return [200, { 'content-type': 'application/json', 'set-cookie': 'a=b', 'x-inner': 'y' }, '{}']
    })
    const world = await bridge({ access })
    const answer = await world.get('/v1/messages?beta=true&x=y', {
      method: 'POST',
      headers: {
        authorization: 'Bearer mine',
        'x-api-key': 'mine',
        'api-key': 'mine',
        'proxy-authorization': 'Basic mine',
        cookie: 'mine=1',
        'openai-organization': 'mine',
        'openai-project': 'mine',
        'x-forwarded-for': 'mine',
        te: 'trailers',
        'accept-encoding': 'gzip',
        'anthropic-version': '2023-06-01',
        'anthropic-beta': 'some-beta',
      },
      body: message,
    })
    expect(answer.status).toBe(200)
    expect(seen?.url).toBe('/v1/messages?beta=true')
    expect(JSON.stringify(seen?.headers)).not.toContain('mine')
    expect(seen?.headers).toMatchObject({
      authorization: `Bearer ${key}`,
      'x-api-key': key,
      'accept-encoding': 'identity',
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'some-beta',
    })
    expect(seen?.headers).not.toHaveProperty('te')
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect(answer.headers).not.toHaveProperty('x-inner')
  })

  it.each(['application/json', 'text/event-stream'])(
    'never returns the key, though the upstream echoes it (%s)',
    async (type) => {
      const { access } = await upstreamOf((request) => [
        200,
        { 'content-type': type, 'x-request-id': `for ${key}` },
        `data: ${JSON.stringify(request.headers)} ${'x'.repeat(70_000)}${key}${key}${key.slice(0, 9)}\n\n`,
      ])
      const world = await bridge({ access })
      for (const path of ['/v1/messages', '/v1/chat/completions', '/v1/responses']) {
        const answer = await world.get(path, { method: 'POST', body: message })
        expect(answer.body.slice(0, 500)).toContain('accept-encoding')
        expect(answer.body.includes(key)).toBe(false)
        expect(answer.body.endsWith(`${key.slice(0, 9)}\n\n`)).toBe(true)
        expect(JSON.stringify(answer.headers)).not.toContain(key)
      }
      expect(JSON.stringify(world.recorded)).not.toContain(key)
    },
  )

  it('names the upstream that cannot be reached, without what is secret in its URL', async () => {
    const world = await bridge({
      access: { anthropic: { apiKey: key, baseUrl: 'http://user:hunter2@127.0.0.1:1' }, openai: null },
    })
    const answer = await world.get('/v1/messages', { method: 'POST', body: message })
    expect(answer.status).toBe(502)
    expect(answer.body).toContain('http://127.0.0.1:1')
    expect(answer.body).not.toContain('hunter2')
    expect(proxied(world)).toMatchObject([{ status: 502, usage: null }])
  })

  it('does not follow or pass on redirects', async () => {
    const { access } = await upstreamOf(() => [307, { location: 'http://elsewhere.example/' }, ''])
    const world = await bridge({ access })
    const answer = await world.get('/v1/messages', { method: 'POST', body: message })
    expect(answer.status).toBe(502)
    expect(answer.headers).not.toHaveProperty('location')
  })

  it('is closed without credentials, and says so in the API’s format', async () => {
    const world = await bridge({ access: { anthropic: null, openai: null } })
    const anthropic = await world.anthropic.messages.create(message).catch((thrown: unknown) => thrown)
    expect(anthropic).toMatchObject({ status: 503, type: 'api_error' })
    const openai = await world.openai.responses.create({ model: 'm', input: 'x' }).catch((thrown) => thrown)
    expect(openai).toMatchObject({
      status: 503,
      message: expect.stringContaining('no credentials for openai'),
    })
  })

  it.each([
    ['no JSON', '{"model": "m"', 400],
    ['no object', '[]', 400],
    ['no model', '{}', 400],
    ['too large', JSON.stringify({ ...message, pad: 'x'.repeat(2000) }), 413],
  ])('refuses a body that is %s', async (_what, body, status) => {
    const { model, access } = await scripted({ turns })
    const world = await bridge({ access, maxBodyBytes: 1000 })
    expect((await world.get('/v1/messages', { method: 'POST', body })).status).toBe(status)
    expect(model.requests).toHaveLength(0)
    const chunked = await world.get('/v1/messages', {
      method: 'POST',
      body,
      headers: { 'transfer-encoding': 'chunked' },
    })
    expect(chunked.status).toBe(status)
    expect(model.requests).toHaveLength(0)
  })

  it('refuses a compressed body and headers without end', async () => {
    const { access } = await scripted({ turns })
    const world = await bridge({ access })
    const zipped = { method: 'POST', body: message, headers: { 'content-encoding': 'gzip' } }
    expect((await world.get('/v1/messages', zipped)).status).toBe(415)
    const [inside, outside] = duplexPair()
    world.gateway.handle(outside)
    inside.on('error', () => {})
    inside.write(`POST /v1/messages HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`)
    inside.resume()
    await once(inside, 'end')
  })

  it('lets no more than so many requests through at once', async () => {
    const { access } = await scripted({ turns: [{ fault: { kind: 'silence' } }], repeatLast: true })
    const world = await bridge({ access, maxConcurrent: 1 })
    void world.get('/v1/messages', { method: 'POST', body: message }).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await world.get('/v1/messages', { method: 'POST', body: message })).status).toBe(429)
  })
})
