import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { makeUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'

const open: { close(): unknown }[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

async function listen(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function upstreamOf(options: UpstreamOptions = {}): Upstream {
  const upstream = makeUpstream(options)
  open.push(upstream)
  return upstream
}

describe('the way to the model APIs', () => {
  it('goes through the proxy, but never for loopback and for what is excepted', async () => {
    const seen: IncomingMessage[] = []
    const proxy = await listen((request, response) => {
      seen.push(request)
      response.end('from the proxy')
    })
    const direct = await listen((_request, response) => response.end('direct'))
    const upstream = upstreamOf({ proxyUrl: proxy.replace('//', '//me:pw@'), noProxy: '.internal.invalid' })
    const answer = await upstream.fetch('http://models.invalid/v1/x')
    expect(await answer.text()).toBe('from the proxy')
    expect(seen[0]?.url).toBe('http://models.invalid/v1/x')
    expect(seen[0]?.headers['proxy-authorization']).toBe(`Basic ${btoa('me:pw')}`)
    expect(await (await upstream.fetch(direct)).text()).toBe('direct')
    await expect(upstream.fetch('http://a.internal.invalid/')).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/)
    expect(seen).toHaveLength(1)
  })

  it('opens a tunnel through the proxy for https', async () => {
    let target: string | undefined
    const server = createServer()
    server.on('connect', (request, socket) => {
      target = request.url
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    open.push(server)
    const { port } = server.address() as AddressInfo
    const upstream = upstreamOf({ proxyUrl: `http://127.0.0.1:${port}` })
    await expect(upstream.fetch('https://models.invalid/v1/x')).rejects.toThrow()
    expect(target).toBe('models.invalid:443')
  })

  it('asks for no compression and follows no redirects', async () => {
    const requests: IncomingMessage[] = []
    const url = await listen((request, response) => {
      requests.push(request)
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    const answer = await upstreamOf().fetch(url, { headers: { 'accept-encoding': 'gzip' } })
    expect(answer.status).toBe(302)
    expect(requests.map((request) => request.url)).toEqual(['/'])
    expect(requests[0]?.headers['accept-encoding']).toBe('identity')
  })

  it.each([
    ['\n\n', 1000, 100],
    ['\r\n\r\n', 1000, 100],
  ])('measures events between empty lines (%j)', async (gap, events, size) => {
    const url = await listen((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`data: ${'x'.repeat(size)}${gap}`.repeat(events))
    })
    const read = async (maxEventBytes: number) => (await upstreamOf({ maxEventBytes }).fetch(url)).text()
    expect((await read(200)).length).toBeGreaterThan(events * size)
    await expect(read(50)).rejects.toMatchObject({ code: 'model_rejected' })
  })

  it('does not take a slow reader for a silent server', async () => {
    const url = await listen((_request, response) => response.end('x'.repeat(10)))
    const armed: boolean[] = []
    const upstream = upstreamOf({
      after: () => {
        const index = armed.push(true) - 1
        return () => {
          armed[index] = false
        }
      },
    })
    const response = await upstream.request(new URL(url), { method: 'GET', headers: {} })
    expect(armed).toEqual([false])
    for await (const _chunk of upstream.read(response)) expect(armed).not.toContain(true)
    expect(armed).not.toContain(true)
  })
})
