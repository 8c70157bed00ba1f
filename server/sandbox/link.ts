import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import type { Attachment } from './attachment.ts'
import { guestPorts } from './guest-env.ts'
import type { SandboxKeys } from './keys.ts'
import type { ProviderHandle, SandboxProvider } from './provider.ts'
import { connectWire } from './wire/connect.ts'
import type { Wire } from './wire/wire.ts'

export interface LinkOptions {
  readonly id: SandboxId
  readonly provider: SandboxProvider
  readonly handle: ProviderHandle
  readonly keys: SandboxKeys
  readonly attachment: Attachment
}

/**
 * The server's one connection into a sandbox: opened when first needed, opened again after it broke, with
 * the two ports out attached each time. A broken wire says nothing about the sandbox: `onBroken` asks the provider.
 */
export class Link {
  readonly options: LinkOptions
  readonly #onBroken: () => void
  #wire: Promise<Wire> | null = null
  #closed = false

  constructor(options: LinkOptions, onBroken: () => void) {
    this.options = options
    this.#onBroken = onBroken
  }

  wire(): Promise<Wire> {
    if (this.#closed)
      return Promise.reject(new ForgeError('sandbox_lost', `sandbox ${this.options.id} is gone`))
    this.#wire ??= this.#connect().catch((error: unknown) => {
      this.#wire = null
      throw error
    })
    return this.#wire
  }

  async #connect(): Promise<Wire> {
    const { id, provider, handle, keys, attachment } = this.options
    const stream = await provider.open(id, handle)
    const wire = await connectWire(stream, {
      clientPrivateKey: keys.client.privateKey,
      hostPublicKey: keys.host.publicKey,
    })
    try {
      await Promise.all([
        wire.forwardOut(guestPorts.egressProxy, (s) => attachment.egress(s)),
        wire.forwardOut(guestPorts.modelGateway, (s) => attachment.models(s)),
      ])
    } catch (error) {
      wire.close()
      throw error
    }
    void wire.closed.then(() => {
      this.#wire = null
      if (!this.#closed) this.#onBroken()
    })
    return wire
  }

  async close(): Promise<void> {
    this.#closed = true
    const wire = await this.#wire?.catch(() => null)
    wire?.close()
    await this.options.attachment.close()
  }
}
