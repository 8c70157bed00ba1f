import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ServerStatus } from '#core/server/server.ts'
import { World } from '#e2e/world/world.ts'

const get = (socketPath: string, path: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    request({ socketPath, path }, async (answer) =>
      resolve({ status: answer.statusCode ?? 0, body: await text(answer) }),
    )
      .on('error', reject)
      .end()
  })

describe('forge serve', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each(['SIGTERM', 'SIGINT'] as const)('serves in the foreground until %s', async (signal) => {
    const server = world.start(['serve'])
    await server.says(/ready/)
    const status = await world.json<ServerStatus>(['status'])
    expect(status.pid).toBe(server.child.pid)
    expect((await stat(status.socket)).mode & 0o077).toBe(0)
    const healthy = await get(status.socket, '/healthz')
    expect(healthy.status).toBe(200)
    expect(JSON.parse(healthy.body)).toMatchObject({ ok: true, pid: status.pid })
    expect((await get(status.socket, '/nothing')).status).toBe(404)
    server.child.kill(signal)
    expect((await server.finished).code).toBe(0)
    expect((await world.forge(['status'])).code).toBe(1)
  })

  it('does not start with settings that it cannot use, and says which', async () => {
    const { code, stdout, stderr } = await world.forge(['sandbox', 'ls', '--json'], {
      env: { FORGE_RUN_MAX_TURNS: 'many' },
    })
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toMatch(/FORGE_RUN_MAX_TURNS/)
    const unreachable = await world.forge(['sandbox', 'ls'], {
      env: { DATABASE_URL: 'postgres://me:hunter2@127.0.0.1:1/x' },
    })
    expect(unreachable.code).toBe(1)
    expect(unreachable.stderr).toMatch(/127\.0\.0\.1/)
    expect(unreachable.stderr).not.toContain('hunter2')
  })
})
