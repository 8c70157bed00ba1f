import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { Link, type LinkOptions } from './link.ts'
import type { Wire } from './wire/wire.ts'

/** The links into the sandboxes that live, and whoever waits for one of these to end by itself. */
export class Links {
  readonly #links = new Map<SandboxId, Link>()
  readonly #lost = new Map<SandboxId, (reason: string) => void>()
  readonly #onBroken: (id: SandboxId) => void

  /** `onBroken` is told of a connection that ended without being asked to. */
  constructor(onBroken: (id: SandboxId) => void) {
    this.#onBroken = onBroken
  }

  get ids(): SandboxId[] {
    return [...this.#links.keys()]
  }

  get(id: SandboxId): Link | undefined {
    return this.#links.get(id)
  }

  /** Replaces an earlier one. Connects when first needed. */
  async add(options: LinkOptions): Promise<void> {
    const { id } = options
    await this.#links.get(id)?.close()
    this.#links.set(id, new Link(options, () => this.#onBroken(id)))
  }

  /** The open wire, or a new one. Throws `sandbox_lost`. */
  wire(id: SandboxId): Promise<Wire> {
    const link = this.#links.get(id)
    if (!link) return Promise.reject(new ForgeError('sandbox_lost', `sandbox ${id} is not running`))
    return link.wire()
  }

  /** Resolves with the reason when the sandbox has ended by itself. */
  lost(id: SandboxId): Promise<string> {
    if (!this.#links.has(id)) return Promise.resolve('it had ended before')
    return new Promise((resolve) => this.#lost.set(id, resolve))
  }

  /** With a reason the sandbox has ended by itself, and whoever waits for that is told. */
  async remove(id: SandboxId, reason?: string): Promise<void> {
    const link = this.#links.get(id)
    this.#links.delete(id)
    if (reason !== undefined) this.#lost.get(id)?.(reason)
    this.#lost.delete(id)
    await link?.close()
  }
}
