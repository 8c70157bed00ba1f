import type { Logger } from 'pino'
import { ForgeError } from '#core/errors.ts'
import type { RunId, SandboxId } from '#core/id.ts'
import type { ProviderReport, Sandbox, SandboxSpec } from '#core/sandbox/sandbox.ts'
import type { SandboxService } from '#core/sandbox/service.ts'
import type { Attachment } from './attachment.ts'
import { candidates, noneWorked } from './choice.ts'
import type { KeyStore } from './keys.ts'
import { Links } from './links.ts'
import type { Created, SandboxProvider } from './provider.ts'
import type { SandboxStore } from './sandbox-store.ts'
import { steadyWire } from './steady-wire.ts'
import { sweep } from './sweep.ts'
import { whenAllEnded } from './when-all-ended.ts'
import type { Wire } from './wire/wire.ts'

/** Makes what answers on a sandbox's two ports out. */
type AttachmentFor = (sandbox: Sandbox) => Attachment | Promise<Attachment>

interface SandboxesOptions {
  readonly store: SandboxStore
  /** The strongest first: `auto` takes the first that works. */
  readonly providers: readonly SandboxProvider[]
  readonly keys: KeyStore
  /** For sandboxes that no run owns. */
  readonly attachmentFor: AttachmentFor
  readonly log: Logger
}

interface AcquireOptions {
  readonly spec: SandboxSpec
  readonly run: RunId | null
  readonly attachment: AttachmentFor
  readonly signal: AbortSignal
}

/** What becomes of a running sandbox when the server starts: `later` means that its run adopts it. */
type Fate = 'adopt' | 'later' | 'remove'

/** How often each live sandbox's provider is asked whether it still lives, in milliseconds. */
const watchEvery = 1000

/** How often the hosts are searched for what nobody owns, in milliseconds. */
const sweepEvery = 60_000

/** Every sandbox of this server: their life cycle, their links, and the watch over them. */
export class Sandboxes implements SandboxService {
  readonly #options: SandboxesOptions
  readonly #links = new Links((id) => void this.#inspect(id))
  readonly #inspecting = new Map<SandboxId, Promise<void>>()
  /** Probes under way. */
  #probing = 0
  #timers: NodeJS.Timeout[] = []

  constructor(options: SandboxesOptions) {
    this.#options = options
  }

  list(all: boolean): Promise<Sandbox[]> {
    return this.#options.store.list(all)
  }

  get(ref: string): Promise<Sandbox> {
    return this.#options.store.get(ref)
  }

  create(spec: SandboxSpec): Promise<Sandbox> {
    const { attachmentFor } = this.#options
    return this.acquire({ spec, run: null, attachment: attachmentFor, signal: new AbortController().signal })
  }

  async probe(): Promise<ProviderReport[]> {
    this.#probing += 1
    try {
      const signal = AbortSignal.timeout(60_000)
      return await Promise.all(this.#options.providers.map((provider) => provider.probe(signal)))
    } finally {
      this.#probing -= 1
    }
  }

  /** Boots a sandbox. On failure the row stays as `failed` with the reason, and nothing stays on the host. */
  async acquire(options: AcquireOptions): Promise<Sandbox> {
    const failures: ForgeError[] = []
    for (const provider of candidates(this.#options.providers, options.spec.provider)) {
      try {
        return await this.#boot(provider, options)
      } catch (thrown) {
        const error = ForgeError.from(thrown)
        if (error.code !== 'provider_unavailable') throw error
        failures.push(error)
      }
    }
    throw noneWorked(failures)
  }

  /** Throws `invalid_input` for a provider that there is not. */
  assertProvider(name: string): void {
    candidates(this.#options.providers, name)
  }

  async #boot(provider: SandboxProvider, options: AcquireOptions): Promise<Sandbox> {
    const { store, keys } = this.#options
    const { spec, run, signal } = options
    const row = await store.insert({ spec, run, provider: provider.name })
    const { id } = row
    try {
      const pair = keys.make()
      const request = {
        id,
        limits: spec.limits,
        clientPublicKey: pair.client.publicKey,
        hostPrivateKey: pair.host.privateKey,
      }
      const [created] = await whenAllEnded([
        provider.create(request, signal),
        keys.save(id, pair),
        store.move(id, 'provisioning'),
      ])
      return await this.#goLive(provider, row, { created, attachment: options.attachment })
    } catch (thrown) {
      await this.#failAndRemove(provider, id, ForgeError.from(thrown).message)
      throw thrown
    }
  }

  async #goLive(
    provider: SandboxProvider,
    row: Sandbox,
    { created, attachment }: { created: Created; attachment: AcquireOptions['attachment'] },
  ): Promise<Sandbox> {
    const connect = async () => {
      await this.#link(provider, row, { handle: created.handle, attachment: await attachment(row) })
      await this.wire(row.id)
    }
    await whenAllEnded([connect(), this.#options.store.setHandle(row.id, created)])
    return this.#options.store.move(row.id, 'running')
  }

  async #link(
    provider: SandboxProvider,
    row: Sandbox,
    { handle, attachment }: { handle: Created['handle']; attachment: Attachment },
  ): Promise<void> {
    const keys = await this.#options.keys.load(row.id)
    await this.#links.add({ id: row.id, provider, handle, keys, attachment })
  }

  /** The open wire, or a new one. Throws `sandbox_lost`. */
  wire(id: SandboxId): Promise<Wire> {
    return this.#links.wire(id)
  }

  /** A wire that survives its connections: see `steadyWire`. */
  steadyWire(id: SandboxId): Wire {
    return steadyWire(
      () => this.wire(id),
      async () => {
        await this.#inspect(id)
        if (!this.#links.get(id)) throw new ForgeError('sandbox_lost', `sandbox ${id} is gone`)
      },
    )
  }

  async wireOf(ref: string): Promise<Wire> {
    const sandbox = await this.get(ref)
    return this.wire(sandbox.id)
  }

  /**
   * Takes a running sandbox of an earlier server over for a run. Throws `sandbox_lost` when it is gone.
   */
  async adopt(id: SandboxId, attachment: AttachmentFor): Promise<Sandbox> {
    const row = await this.get(id)
    const stored = await this.#options.store.handle(id)
    const provider = this.#options.providers.find((candidate) => candidate.name === row.provider)
    if (row.state !== 'running' || !stored || !provider)
      throw new ForgeError('sandbox_lost', `sandbox ${id} is ${row.state}`)
    const liveness = await provider.inspect(id, stored)
    if (liveness.state !== 'running') {
      const reason = liveness.state === 'gone' ? liveness.reason : 'suspended'
      await this.#fail(id, reason)
      throw new ForgeError('sandbox_lost', `sandbox ${id} is gone: ${reason}`)
    }
    await this.#link(provider, row, { handle: stored, attachment: await attachment(row) })
    await this.wire(id)
    return row
  }

  /** Resolves with the reason when the provider reports that the sandbox has ended by itself. */
  lost(id: SandboxId): Promise<string> {
    return this.#links.lost(id)
  }

  async destroy(id: SandboxId): Promise<void> {
    const row = await this.get(id)
    const provider = this.#options.providers.find((candidate) => candidate.name === row.provider)
    await this.#links.remove(id)
    if (provider) await this.#remove(provider, id)
    await this.#moveToEnd(id, 'destroyed')
  }

  /** Whoever comes second finds it there already, or further on. */
  async #moveToEnd(id: SandboxId, end: 'failed' | 'destroyed', reason?: string): Promise<void> {
    await this.#options.store.move(id, end, reason).catch(async (error: unknown) => {
      const { state } = await this.get(id)
      if (state !== 'destroyed' && state !== end) throw error
    })
  }

  async #remove(provider: SandboxProvider, id: SandboxId): Promise<void> {
    await provider.destroy(id)
    await this.#options.keys.remove(id)
  }

  async #fail(id: SandboxId, reason: string): Promise<void> {
    await this.#links.remove(id, reason)
    await this.#moveToEnd(id, 'failed', reason)
  }

  async #failAndRemove(provider: SandboxProvider, id: SandboxId, reason: string): Promise<void> {
    try {
      await this.#fail(id, reason)
    } finally {
      await this.#remove(provider, id)
    }
  }

  /** Asks the provider, once for all who ask at the same time. */
  #inspect(id: SandboxId): Promise<void> {
    const asking = this.#inspecting.get(id)
    if (asking) return asking
    const asked = this.#inspectOnce(id)
      .catch((error: unknown) =>
        this.#options.log.error({ err: error, sandbox: id }, 'a sandbox could not be inspected'),
      )
      .finally(() => this.#inspecting.delete(id))
    this.#inspecting.set(id, asked)
    return asked
  }

  /** A sandbox that is gone becomes `failed`, and what it left on the host is removed. */
  async #inspectOnce(id: SandboxId): Promise<void> {
    const link = this.#links.get(id)
    if (!link) return
    const { provider, handle } = link.options
    const liveness = await provider.inspect(id, handle)
    if (liveness.state !== 'gone' || this.#links.get(id) !== link) return
    await this.#failAndRemove(provider, id, liveness.reason)
  }

  watch(): void {
    const inspectAll = () => {
      for (const id of this.#links.ids) void this.#inspect(id)
    }
    const sweepAll = () => {
      this.#sweep().catch((error: unknown) => this.#options.log.error({ err: error }, 'a sweep failed'))
    }
    this.#timers = [setInterval(inspectAll, watchEvery).unref(), setInterval(sweepAll, sweepEvery).unref()]
  }

  /** Leaves the sandboxes alone: they outlive this process. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.all(this.#links.ids.map((id) => this.#links.remove(id)))
  }

  /** Once at start, before anything is created: brings rows and hosts into agreement. */
  async reconcile(fateOf: (row: Sandbox) => Fate): Promise<{ adopted: number; removed: number }> {
    let adopted = 0
    for (const row of await this.list(false)) {
      const fate = row.state === 'running' ? fateOf(row) : 'remove'
      if (fate === 'adopt' && (await this.#adoptOwn(row))) adopted += 1
      if (fate === 'remove') await this.#fail(row.id, 'left over by a server that ended')
    }
    return { adopted, removed: await this.#sweep() }
  }

  #sweep(): Promise<number> {
    return sweep({
      providers: this.#options.providers,
      owned: async () => new Set((await this.list(false)).map((row) => row.id)),
      isProbing: () => this.#probing > 0,
      remove: (provider, id) => this.#remove(provider, id),
      onUnavailable: ({ name }, error) =>
        this.#options.log.warn({ err: error, provider: name }, 'a provider could not be swept'),
    })
  }

  async #adoptOwn(row: Sandbox): Promise<boolean> {
    try {
      await this.adopt(row.id, this.#options.attachmentFor)
      return true
    } catch (error) {
      this.#options.log.warn({ err: error, sandbox: row.id }, 'a sandbox could not be adopted')
      return false
    }
  }
}
