import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Config } from '#core/config/config.ts'
import { ForgeError } from '#core/errors.ts'
import type { Event, EventDraft } from '#core/event/event.ts'
import type { ModelUsage } from '#core/model/message.ts'
import type { Run, Tokens } from '#core/run/run.ts'
import { fileBlobs } from '../ledger/file-blobs.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type PostgresLedger, postgresLedger } from '../ledger/postgres-ledger.ts'
import type { ModelProvider } from '../models/provider.ts'
import { keyStore } from '../sandbox/keys.ts'
import { sandboxStore } from '../sandbox/sandbox-store.ts'
import { Sandboxes } from '../sandbox/sandboxes.ts'
import { clock, newRun, random } from '../store/conformance/fixtures.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { gitWorkspaces } from '../workspace/git-workspaces.ts'
import { ActiveRuns, allEvents } from './active-runs.ts'
import type { RunParts } from './job.ts'
import { cancelReason } from './outcome.ts'
import { type RunStore, runStore } from './run-store.ts'

let dir: string
let store: Store
let ledger: PostgresLedger
let runs: RunStore

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'forge-runs-'))
  store = await openStore({ kind: 'embedded', dataDir: dir, migrations: path.resolve('migrations') })
  ledger = postgresLedger({ store, clock })
  runs = runStore(store, { random, clock })
})

afterAll(async () => {
  await ledger.close()
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

const log = pino({ level: 'silent' })

/** Everything real but the models, and no sandbox provider: these runs end before they need one. */
function partsWith(changes: { ledger?: Ledger; resolveModel: RunParts['resolveModel'] }): RunParts {
  const blobs = fileBlobs(path.join(dir, 'blobs'))
  const refuse = () => {
    throw new ForgeError('internal', 'no sandbox is attached here')
  }
  return {
    ledger,
    runs,
    blobs,
    sandboxes: new Sandboxes({
      store: sandboxStore(store, { random, clock }),
      providers: [],
      keys: keyStore(path.join(dir, 'keys')),
      attachmentFor: refuse,
      log,
    }),
    workspaces: gitWorkspaces({ blobs, dir: path.join(dir, 'workspaces'), network: {} }),
    config: () => Config.parse({}),
    attach: refuse,
    assertPriced: () => undefined,
    now: clock.now,
    log,
    ...changes,
  }
}

const given = (run: Run, past: readonly Event[] = []) => ({
  run,
  spec: newRun().spec,
  actor: 'user:test',
  credentials: undefined,
  past,
})

const usage = (tokens: Tokens): ModelUsage => ({ model: 'm', tokens, cost: 0.5 })

const answered: EventDraft = {
  actor: 'agent',
  type: 'message.assistant',
  data: {
    turn: 1,
    content: [{ type: 'text', text: 'done' }],
    stop: 'end',
    usage: usage({ input: 10, output: 1, cacheRead: 0, cacheWrite: 0 }),
    ms: 1,
  },
}

const proxied: EventDraft = {
  actor: 'sandbox',
  type: 'model.proxied',
  data: {
    api: 'openai.chat',
    status: 200,
    usage: usage({ input: 200, output: 20, cacheRead: 3, cacheWrite: 0 }),
    ms: 1,
  },
}

const agentFinished: EventDraft = {
  actor: 'server',
  type: 'agent.finished',
  data: { outcome: 'sandbox_lost', summary: null, reason: 'it is gone', turns: 1, check: null },
}

test('a run that is taken up keeps the tokens and the cost of the agent and of programs in its sandbox', async () => {
  const run = await runs.create(newRun())
  await ledger.append(run.id, [answered, proxied, agentFinished])
  const parts = partsWith({ resolveModel: () => Promise.reject(new Error('nobody asks for a model')) })
  const active = new ActiveRuns(parts)
  active.start(given(run, await allEvents(parts, run.id)))
  await vi.waitFor(async () => expect((await runs.get(run.id)).state).toBe('finished'))
  const last = (await allEvents(parts, run.id)).at(-1)
  expect(last).toMatchObject({
    type: 'run.finished',
    data: { tokens: { input: 210, output: 21, cacheRead: 3, cacheWrite: 0 }, cost: 1 },
  })
  await active.close()
})

test('a queued run that is cancelled does not take the turn of the one that waits beside it', async () => {
  const asking = new Map<string, (error: Error) => void>()
  const parts = partsWith({
    resolveModel: (id) =>
      new Promise<ModelProvider>((_resolve, reject) => {
        asking.set(id ?? '', reject)
      }),
  })
  const active = new ActiveRuns(parts)
  const begin = async (name: string) => {
    const run = await runs.create({ ...newRun(), model: name })
    active.start(given(run))
    return run
  }
  const stop = new ForgeError('model_unavailable', 'enough')
  for (let index = 0; index < 16; index += 1) await begin(`busy ${index}`)
  await vi.waitFor(() => expect(asking.size).toBe(16))
  await begin('waits')
  const cancelled = await begin('cancelled')
  active.abort(cancelled.id, cancelReason('cancelled', 'user:test'))
  await vi.waitFor(() => expect(asking.has('cancelled')).toBe(true))
  asking.get('cancelled')?.(stop)
  await vi.waitFor(async () => expect((await runs.get(cancelled.id)).outcome).toBe('cancelled'))
  expect(asking.has('waits')).toBe(false)
  asking.get('busy 0')?.(stop)
  await vi.waitFor(() => expect(asking.has('waits')).toBe(true))
  for (const reject of asking.values()) reject(stop)
  await active.close()
})

test('a server that stops does not wait for a store that is away, and asks it no more', async () => {
  let attempts = 0
  const away: Ledger = {
    append: () => Promise.reject(new ForgeError('store_unavailable', 'the database does not answer')),
    read: (id, range) => ledger.read(id, range),
    follow: (id, after, signal) => ledger.follow(id, after, signal),
  }
  const parts = partsWith({
    ledger: away,
    resolveModel: () => {
      attempts += 1
      return Promise.reject(new ForgeError('model_unavailable', 'no model'))
    },
  })
  const active = new ActiveRuns(parts)
  active.start(given(await runs.create(newRun())))
  await vi.waitFor(() => expect(attempts).toBe(1))
  // The pause before the next attempt begins when this one has failed, which is microtasks away.
  await sleep(20)
  await active.close()
  expect(attempts).toBe(1)
})
