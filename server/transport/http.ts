import { chmod, rm } from 'node:fs/promises'
import { type FastifyTRPCPluginOptions, fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import { type FastifyBaseLogger, fastify, LogController } from 'fastify'
import { WebSocketServer } from 'ws'
import { ForgeError } from '#core/errors.ts'
import { type AppRouter, appRouter } from '#core/router.ts'
import type { Context } from '#core/trpc.ts'
import type { BlobStore } from '../ledger/blobs.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { blobRoutes } from './blob-routes.ts'
import { serveExec } from './exec-socket.ts'
import { problemOf, refuseUpgrade } from './problem.ts'
import { privateSocketDir } from './socket-dir.ts'

interface HttpOptions {
  readonly context: Context
  readonly blobs: BlobStore
  /** By id, unambiguous beginning or name. */
  readonly openWire: (sandbox: string) => Promise<Wire>
  readonly log: FastifyBaseLogger
  /** The server's own: the socket's directory must be its. */
  readonly uid: number
  readonly health: () => Record<string, unknown>
}

export interface HttpServer {
  /** Takes the socket path over, so call it only with the data directory's lock in hand. */
  listen(socketPath: string): Promise<void>
  close(): Promise<void>
}

/** An id, the beginning of one, or a name: nothing that a URL encodes. */
const execPath = /^\/v1\/sandboxes\/([\w-]{1,100})\/exec$/

/** The longest message of a control connection, in bytes; terminal and command bytes come in far smaller pieces. */
const maxMessage = 32 * 2 ** 20

export async function httpServer(options: HttpOptions): Promise<HttpServer> {
  const app = fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    bodyLimit: maxMessage,
  })
  app.setErrorHandler((error, _request, reply) => {
    const { status, body } = problemOf(error)
    reply.code(status).type('application/problem+json').send(body)
  })
  app.setNotFoundHandler((request, reply) => {
    const { status, body } = problemOf(
      new ForgeError('not_found', `${request.method} ${request.url} is not served here`),
    )
    reply.code(status).type('application/problem+json').send(body)
  })
  app.get('/healthz', async () => options.health())
  await app.register(async (scope) => blobRoutes(scope, options.blobs))
  await app.register(fastifyTRPCPlugin, {
    prefix: '/trpc',
    trpcOptions: { router: appRouter, createContext: () => options.context },
  } satisfies FastifyTRPCPluginOptions<AppRouter>)

  const rpcSockets = new WebSocketServer({ noServer: true, maxPayload: maxMessage })
  const rpc = applyWSSHandler({
    wss: rpcSockets,
    router: appRouter,
    createContext: () => options.context,
    keepAlive: { enabled: true, pingMs: 10_000, pongWaitMs: 5_000 },
  })
  const execSockets = new WebSocketServer({ noServer: true, maxPayload: maxMessage })
  app.server.on('upgrade', (request, socket, head) => {
    const target = (request.url ?? '').split('?')[0] ?? ''
    const sandbox = execPath.exec(target)?.[1]
    if (target === '/trpc') {
      rpcSockets.handleUpgrade(request, socket, head, (ws) => rpcSockets.emit('connection', ws, request))
    } else if (sandbox) {
      execSockets.handleUpgrade(request, socket, head, (ws) => serveExec(ws, () => options.openWire(sandbox)))
    } else refuseUpgrade(socket, new ForgeError('not_found', `no WebSocket is served at ${target}`))
  })

  return {
    async listen(socketPath) {
      await privateSocketDir(socketPath, options.uid)
      await rm(socketPath, { force: true })
      await app.listen({ path: socketPath })
      await chmod(socketPath, 0o600)
    },
    async close() {
      rpc.broadcastReconnectNotification()
      for (const client of [...rpcSockets.clients, ...execSockets.clients]) client.terminate()
      await app.close()
    },
  }
}
