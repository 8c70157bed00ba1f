import { randomBytes } from 'node:crypto'
import { makeId, SandboxId } from '#core/id.ts'
import { SandboxLimits } from '#core/sandbox/sandbox.ts'
import type { Created, ProviderHandle, SandboxProvider } from '../provider.ts'
import { connectWire } from '../wire/connect.ts'
import { type KeyPair, makeKeyPair } from '../wire/keys.ts'
import type { Wire } from '../wire/wire.ts'

/** What a provider's own test says to be held to the contract. */
export interface ProviderUnderTest {
  readonly name: string
  /** A provider over the same state each time, as a restarted server would make it. */
  make(): Promise<SandboxProvider>
  /** Ends the sandbox from outside, as an administrator or the host's kernel would. */
  kill(id: SandboxId, handle: ProviderHandle): Promise<void>
  /** Why this machine cannot have one at all: then every test is skipped by that name. Absent: it must work. */
  unavailable?(): Promise<string | null>
}

export interface Guest {
  readonly id: SandboxId
  readonly keys: { readonly client: KeyPair; readonly host: KeyPair }
  readonly created: Created
}

export const newId = (): SandboxId => SandboxId.parse(makeId('sbx', randomBytes))

/** Limits that a test machine can give to several sandboxes at a time. */
const limits = { memoryMb: 1024, pids: 512, diskMb: 512 }

/** The provider of one suite and the sandboxes that its tests made. */
export class World {
  readonly underTest: ProviderUnderTest
  readonly #wires = new Set<Wire>()
  readonly #made = new Set<SandboxId>()
  #provider: SandboxProvider | null = null

  constructor(underTest: ProviderUnderTest) {
    this.underTest = underTest
  }

  async start(): Promise<void> {
    this.#provider = await this.underTest.make()
  }

  get provider(): SandboxProvider {
    if (this.#provider === null) throw new Error('the world has not started')
    return this.#provider
  }

  async create(
    options: { id?: SandboxId; limits?: Partial<SandboxLimits>; signal?: AbortSignal } = {},
  ): Promise<Guest> {
    const id = options.id ?? newId()
    const keys = { client: makeKeyPair(), host: makeKeyPair() }
    this.#made.add(id)
    const created = await this.provider.create(
      {
        id,
        limits: SandboxLimits.parse({ ...limits, ...options.limits }),
        clientPublicKey: keys.client.publicKey,
        hostPrivateKey: keys.host.privateKey,
      },
      options.signal ?? new AbortController().signal,
    )
    return { id, keys, created }
  }

  /** Its handle goes through JSON, as it does through the store. */
  async connect(guest: Guest, provider: SandboxProvider = this.provider): Promise<Wire> {
    const handle = JSON.parse(JSON.stringify(guest.created.handle)) as ProviderHandle
    const stream = await provider.open(guest.id, handle)
    const wire = await connectWire(stream, {
      clientPrivateKey: guest.keys.client.privateKey,
      hostPublicKey: guest.keys.host.publicKey,
    })
    this.#wires.add(wire)
    return wire
  }

  async end(): Promise<void> {
    for (const wire of this.#wires) wire.close()
    if (this.#provider !== null) for (const id of this.#made) await this.#provider.destroy(id)
  }
}
