import { createHash } from 'node:crypto'
import { chmod, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import Fastify, { type FastifyInstance } from 'fastify'
import { ForgeError } from '#core/errors.ts'
import type { Digest } from '#core/id.ts'
import { appRouter } from '#core/router.ts'
import type { ServerService } from '#core/server/service.ts'
import type { Context } from '#core/trpc.ts'
import { MemoryConfig } from './config.ts'
import { MemoryRuns } from './runs.ts'
import { MemorySandboxes } from './sandboxes.ts'

/** The contract of core/, kept in memory and served as the server serves it: for the client's own tests. */
export interface TestServer {
  readonly socket: string
  readonly runs: MemoryRuns
  readonly sandboxes: MemorySandboxes
  readonly blobs: Map<string, Buffer>
  /** Breaks every open connection, as a killed server does; the state stays. */
  kill(): Promise<void>
  listen(): Promise<void>
}

export async function startTestServer(socket: string): Promise<TestServer> {
  const runs = new MemoryRuns()
  const sandboxes = new MemorySandboxes()
  const blobs = new Map<string, Buffer>()
  let app: FastifyInstance | undefined
  let breakExecs = () => {}
  const kill = async () => {
    breakExecs()
    app?.server.closeAllConnections()
    await app?.close()
    app = undefined
  }
  const listen = async () => {
    await mkdir(path.dirname(socket), { recursive: true, mode: 0o700 })
    await rm(socket, { force: true })
    const server: ServerService = {
      status: async () => statusOf(socket),
      stop: async () => {
        setTimeout(() => void kill(), 10)
      },
    }
    app = await makeApp({ actor: 'user:test', config: new MemoryConfig(), runs, sandboxes, server }, blobs)
    breakExecs = sandboxes.serveExec(app.server)
    await app.listen({ path: socket })
    await chmod(socket, 0o600)
  }
  await listen()
  return { socket, runs, sandboxes, blobs, kill, listen }
}

const statusOf = (socket: string) => ({
  pid: process.pid,
  version: '0.1.0',
  home: path.dirname(socket),
  socket,
  startedAt: '2026-01-02T03:04:05.000Z',
  database: { kind: 'embedded' as const, version: '18.4' },
  runs: { active: 0, total: 0 },
  sandboxes: { live: 0 },
  model: { id: 'demo/scripted', scripted: true },
})

async function makeApp(context: Context, blobs: Map<string, Buffer>): Promise<FastifyInstance> {
  const app = Fastify({
    forceCloseConnections: true,
    bodyLimit: 1 << 28,
    routerOptions: { maxParamLength: 5000 },
  })
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.get('/healthz', async () => ({ ok: true, pid: process.pid, version: '0.1.0' }))
  app.put('/v1/blobs', async (request) => {
    const content = await buffer(request.body as NodeJS.ReadableStream)
    const digest = createHash('sha256').update(content).digest('hex')
    blobs.set(digest, content)
    return { digest, bytes: content.length }
  })
  app.get<{ Params: { digest: Digest } }>('/v1/blobs/:digest', async (request, reply) => {
    const content = blobs.get(request.params.digest)
    if (content) return reply.type('application/octet-stream').send(content)
    const error = new ForgeError('not_found', 'there is no such blob')
    return reply
      .code(404)
      .type('application/problem+json')
      .send({ title: error.message, status: 404, forge: error.toShape() })
  })
  await app.register(fastifyTRPCPlugin, {
    prefix: '/trpc',
    trpcOptions: { router: appRouter, createContext: () => context },
  })
  return app
}
