import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { SandboxId } from '#core/id.ts'
import { SandboxSpec } from '#core/sandbox/sandbox.ts'
import { clock, random } from '../store/conformance/fixtures.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { keyStore } from './keys.ts'
import type { ProviderHandle, SandboxProvider } from './provider.ts'
import { probe } from './providers/bubblewrap/probe.ts'
import { bubblewrapProvider } from './providers/bubblewrap/provider.ts'
import { type SandboxStore, sandboxStore } from './sandbox-store.ts'
import { Sandboxes } from './sandboxes.ts'
import { testHostTools } from './wire/real-sshd.ts'

let dir: string
let store: Store
let rows: SandboxStore
let provider: SandboxProvider

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'forge-sandboxes-'))
  await chmod(dir, 0o755)
  const tools = await testHostTools()
  store = await openStore({ kind: 'embedded', dataDir: dir, migrations: path.resolve('migrations') })
  rows = sandboxStore(store, { random, clock })
  const serverUid = process.geteuid?.() ?? 0
  provider = bubblewrapProvider({ stateDir: path.join(dir, 'bubblewrap'), tools, serverUid })
})

afterAll(async () => {
  for (const id of await provider.list()) await provider.destroy(id)
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

/** The real provider's methods, for tests that stop or watch one of them. */
const passing = (): SandboxProvider => ({
  name: provider.name,
  capabilities: provider.capabilities,
  probe: (signal) => provider.probe(signal),
  create: (request, signal) => provider.create(request, signal),
  open: (id, handle) => provider.open(id, handle),
  inspect: (id, handle) => provider.inspect(id, handle),
  destroy: (id) => provider.destroy(id),
  list: () => provider.list(),
})

const spec = SandboxSpec.parse({ limits: { memoryMb: 256, pids: 64, diskMb: 64 } })

function sandboxesOn(used: SandboxProvider): Sandboxes {
  return new Sandboxes({
    store: rows,
    providers: [used],
    keys: keyStore(path.join(dir, 'keys')),
    attachmentFor: () => ({
      egress: (stream) => stream.destroy(),
      models: (stream) => stream.destroy(),
      close: async () => undefined,
    }),
    log: pino({ level: 'silent' }),
  })
}

test('a sandbox that is destroyed while it is made leaves nothing behind', async () => {
  const began = Promise.withResolvers<SandboxId>()
  const goOn = Promise.withResolvers<void>()
  const sandboxes = sandboxesOn({
    ...passing(),
    create: async (request, signal) => {
      began.resolve(request.id)
      await goOn.promise
      return provider.create(request, signal)
    },
  })
  const made = sandboxes.create(spec)
  made.catch(() => undefined)
  const id = await began.promise
  await vi.waitFor(async () => expect((await sandboxes.get(id)).state).toBe('provisioning'))
  await sandboxes.destroy(id)
  goOn.resolve()
  await expect(made).rejects.toMatchObject({ name: 'ForgeError' })
  expect((await sandboxes.get(id)).state).toBe('destroyed')
  expect(await provider.list()).toEqual([])
  expect(await readdir(path.join(dir, 'keys'))).toEqual([])
  await sandboxes.close()
})

test('a sweep leaves a probe alone', async () => {
  const reached = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const slow = {
    ...passing(),
    open: async (id: SandboxId, handle: ProviderHandle) => {
      reached.resolve()
      await goOn.promise
      return provider.open(id, handle)
    },
    probe: (signal: AbortSignal) => probe(slow, 'as it is', signal),
  }
  const sandboxes = sandboxesOn(slow)
  const probed = sandboxes.probe()
  await reached.promise
  await sandboxes.reconcile(() => 'later')
  goOn.resolve()
  expect(await probed).toMatchObject([{ works: true }])
  await sandboxes.close()
})

test('whoever asks too late learns that the sandbox is lost', async () => {
  const sandboxes = sandboxesOn(provider)
  const { id } = await sandboxes.create(spec)
  sandboxes.watch()
  await provider.destroy(id)
  await vi.waitFor(async () => expect((await sandboxes.get(id)).state).toBe('failed'), 5000)
  expect(await sandboxes.lost(id)).toContain('ended')
  await sandboxes.close()
})

/** Ends the sshd it runs under, as soon as something else waits for the egress proxy's port. */
const takePort = `setsid perl -MIO::Socket -e '
  until ($s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:3128", Listen => 5, ReuseAddr => 1)) { select undef, undef, undef, 0.01 }
  sleep 60' >/dev/null 2>&1 &
kill -9 $PPID`

test('a connection whose ports a program inside has taken is closed again', async () => {
  const streams: Duplex[] = []
  const sandboxes = sandboxesOn({
    ...passing(),
    open: async (id, handle) => {
      const stream = await provider.open(id, handle)
      streams.push(stream)
      return stream
    },
  })
  const { id } = await sandboxes.create(spec)
  const wire = await sandboxes.wire(id)
  await expect(wire.run({ command: takePort })).rejects.toMatchObject({ code: 'sandbox_lost' })
  await expect(sandboxes.wire(id)).rejects.toMatchObject({ code: 'conflict' })
  expect(streams).toHaveLength(2)
  expect(streams.map((stream) => stream.destroyed)).toEqual([true, true])
  await sandboxes.destroy(id)
  await sandboxes.close()
})
