import { createTRPCClient, createWSClient, wsLink } from '@trpc/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import type { Event } from '#core/event/event.ts'
import type { AppRouter } from '#core/router.ts'
import { World } from '#e2e/world/world.ts'

/** Any tRPC v11 client may be used, not only the CLI's own. */
describe('the stock tRPC client over a WebSocket', () => {
  let world: World
  let socket: ReturnType<typeof createWSClient>
  const client = () => createTRPCClient<AppRouter>({ links: [wsLink({ client: socket })] })
  beforeAll(async () => {
    world = await World.make()
    const { socket: path } = await world
      .json<{ socket: string }>(['doctor'])
      .catch(() => undefined)
      .then(() => world.json<{ socket: string }>(['status']))
    // The class of `ws` is what browsers have, as far as tRPC uses it.
    socket = createWSClient({
      url: `ws+unix:${path}:/trpc`,
      WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
    })
  })
  afterAll(async () => {
    await socket?.close()
    await world[Symbol.asyncDispose]()
  })

  const follow = (id: Event['run'], after: number): Promise<Event[]> =>
    new Promise((resolve, reject) => {
      const events: Event[] = []
      client().runs.follow.subscribe(
        { id, after },
        {
          onData: ({ data }) => data.kind === 'item' && events.push(data.item),
          onError: reject,
          onComplete: () => resolve(events),
        },
      )
    })

  it('queries, creates a run, follows it, and takes the stream up in the middle', async () => {
    const model = await world.model({ turns: [{ text: 'Nothing to do.' }] })
    const run = await client().runs.create.mutate({
      spec: { prompt: 'Say hello' },
      credentials: { anthropic: { baseUrl: model.url } },
    })
    const all = await follow(run.id, 0)
    expect(all.map((event) => event.seq)).toEqual(all.map((_, index) => index + 1))
    expect(all.at(-1)).toMatchObject({ type: 'run.finished', data: { outcome: 'done' } })
    expect(await follow(run.id, 5)).toEqual(all.slice(5))
    expect(await client().server.status.query()).toMatchObject({ runs: { active: 0, total: 1 } })
  })

  it('carries typed errors', async () => {
    await expect(client().runs.get.query({ ref: 'run_0000000000' })).rejects.toMatchObject({
      data: { code: 'NOT_FOUND', forge: { code: 'not_found' } },
    })
    await expect(client().runs.create.mutate({ spec: { prompt: '' } })).rejects.toMatchObject({
      data: { code: 'BAD_REQUEST', forge: { code: 'invalid_input' } },
    })
  })
})
