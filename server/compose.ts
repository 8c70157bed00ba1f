import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '#core/config/config.ts'
import type { Paths } from '#core/config/paths.ts'
import { configService, type LiveConfig } from './config/service.ts'
import { engineImage, guestImages, imagesDir } from './image/guest-image.ts'
import { fileBlobs } from './ledger/file-blobs.ts'
import { postgresLedger } from './ledger/postgres-ledger.ts'
import { type ServerFacts, serverService } from './lifecycle/server-service.ts'
import { assertPriced, priceTable } from './models/prices.ts'
import { defaultModelId, resolveModel } from './models/resolve.ts'
import type { RunParts } from './run/job.ts'
import { Runs } from './run/run-service.ts'
import { runStore } from './run/run-store.ts'
import { awaitedProvider } from './sandbox/awaited.ts'
import { installCommands } from './sandbox/host-tools/ensure.ts'
import { findHostTools } from './sandbox/host-tools/find.ts'
import { keyStore } from './sandbox/keys.ts'
import type { SandboxProvider } from './sandbox/provider.ts'
import { bubblewrapProvider } from './sandbox/providers/bubblewrap/provider.ts'
import { defaultEndpoint, parseEndpoint } from './sandbox/providers/docker/endpoint.ts'
import { dockerProvider } from './sandbox/providers/docker/provider.ts'
import { sandboxStore } from './sandbox/sandbox-store.ts'
import { Sandboxes } from './sandbox/sandboxes.ts'
import { openStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import { httpServer } from './transport/http.ts'
import { wayOut } from './way-out.ts'
import { gitWorkspaces } from './workspace/git-workspaces.ts'

/** What only the process's main file knows. */
interface Surroundings {
  readonly paths: Paths
  readonly tools: string
  readonly migrations: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
  readonly user: string
  readonly node: string
  readonly facts: ServerFacts
  readonly log: Logger
  /** Asks the process to stop. */
  readonly stop: () => void
}

export interface Server {
  close(): Promise<void>
}

const clock = { now: Date.now }

/** The strongest first, as far as that can be said of two that share the kernel: the default needs no daemon of root's. */
function providersOf(here: Surroundings, config: LiveConfig): SandboxProvider[] {
  const bubblewrap = async () => {
    const { tools, missing } = await findHostTools(here.tools)
    if (tools === null)
      return { detail: `the host lacks ${missing.join(', ')}`, fix: installCommands(missing, here.uid) }
    const stateDir = path.join(here.paths.data, 'bubblewrap')
    return bubblewrapProvider({ stateDir, tools, serverUid: here.uid, extraBin: [here.node] })
  }
  const { paths, node, uid, env, log } = here
  const images = guestImages({ dir: imagesDir(paths.data), node, uid, env, log })
  const settings = () => config.current().sandbox.docker
  const docker = dockerProvider({
    stateDir: path.join(paths.data, 'docker'),
    endpoint: () => parseEndpoint(settings().host ?? defaultEndpoint, settings().certificates ?? null),
    image: (make) => engineImage({ images, own: settings().image, make }),
  })
  return [awaitedProvider({ name: 'bubblewrap', kernel: 'shared', find: bubblewrap }), docker]
}

/** What git may see of the server's environment when it clones a repository that was given by URL. */
const cloneVariables = [
  'HOME',
  'SSH_AUTH_SOCK',
  'HTTPS_PROXY',
  'https_proxy',
  'HTTP_PROXY',
  'http_proxy',
  'NO_PROXY',
  'no_proxy',
  'GIT_SSL_CAINFO',
  'SSL_CERT_FILE',
]

const cloneEnvironment = (env: Surroundings['env']): Record<string, string> =>
  Object.fromEntries(cloneVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))

const openDatabase = (here: Surroundings, config: Config): Promise<Store> => {
  const url = config.store.databaseUrl
  const onProgress = (message: string) => here.log.info(message)
  return url === undefined
    ? openStore({ kind: 'embedded', dataDir: here.paths.data, migrations: here.migrations, onProgress })
    : openStore({ kind: 'given', url, migrations: here.migrations, onLockLost: here.stop })
}

/**
 * Builds every service of the server and starts it. What has started is closed in the opposite order, also
 * when a later part does not start. The caller holds the data directory's lock.
 */
export async function startServer(here: Surroundings): Promise<Server> {
  const { env, log, paths } = here
  const config = await configService({ dir: paths.config, env })
  await using started = new AsyncDisposableStack()
  const store = started.adopt(await openDatabase(here, config.current()), (it) => it.close())
  const random = (bytes: number) => randomBytes(bytes)
  const runs = runStore(store, { random, clock })
  const sandboxRows = sandboxStore(store, { random, clock })
  const blobs = fileBlobs(path.join(paths.data, 'blobs'))
  const out = wayOut({ env, log, now: clock.now, config })
  started.defer(() => out.upstream.close())
  const ledger = started.adopt(postgresLedger({ store, clock }), (it) => it.close())
  const sandboxes = new Sandboxes({
    store: sandboxRows,
    providers: providersOf(here, config),
    keys: keyStore(path.join(paths.data, 'keys')),
    attachmentFor: async (sandbox) => out.withoutRun(sandbox, await sandboxRows.allow(sandbox.id)),
    log,
  })
  started.defer(() => sandboxes.close())
  const modelOptions = () => ({ config: config.current().model, upstream: out.upstream })
  const parts: RunParts = {
    ledger,
    runs,
    blobs,
    sandboxes,
    workspaces: gitWorkspaces({
      blobs,
      dir: path.join(paths.data, 'workspaces'),
      network: cloneEnvironment(env),
    }),
    config: () => config.current(),
    attach: out.forRun,
    resolveModel: (id, credentials) => resolveModel({ ...modelOptions(), credentials, id }),
    assertPriced: (model) => assertPriced(model, priceTable(config.current().model.prices)),
    now: clock.now,
    log,
  }
  const runService = started.adopt(new Runs(parts), (it) => it.close())
  const server = serverService({
    facts: here.facts,
    store,
    runs,
    sandboxes: sandboxRows,
    defaultModel: () => defaultModelId(modelOptions()).catch(() => 'unknown'),
    stop: here.stop,
  })
  const http = await httpServer({
    context: { actor: `user:${here.user}`, runs: runService, sandboxes, server, config },
    blobs,
    openWire: (ref) => sandboxes.wireOf(ref),
    log,
    uid: here.uid,
    health: () => ({ ok: true, pid: here.facts.pid, version: here.facts.version }),
  })
  started.defer(() => http.close())
  await takeUp(parts, runService, sandboxes)
  await http.listen(paths.socket)
  const running = started.move()
  return { close: () => running.disposeAsync() }
}

/** Brings what an earlier server left into order, then goes on with its runs. */
async function takeUp({ runs, config, log }: RunParts, service: Runs, sandboxes: Sandboxes): Promise<void> {
  const unfinished = await runs.unfinished()
  const owned = new Map(unfinished.map((run) => [run.id, run.sandbox]))
  const { keep } = config().sandbox
  const report = await sandboxes.reconcile((row) => {
    if (row.run === null) return 'adopt'
    if (owned.has(row.run)) return owned.get(row.run) === row.id ? 'later' : 'remove'
    return keep === 'never' ? 'remove' : 'adopt'
  })
  if (unfinished.length > 0 || report.removed > 0)
    log.info({ runs: unfinished.length, ...report }, 'took up what was left')
  sandboxes.watch()
  await service.resume(unfinished)
}
