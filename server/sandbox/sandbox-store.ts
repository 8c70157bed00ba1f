import { and, desc, eq, inArray, like, notInArray, or, type SQL } from 'drizzle-orm'
import { ForgeError } from '#core/errors.ts'
import { type Clock, type IdPrefix, makeId, type RunId, SandboxId } from '#core/id.ts'
import { assertSandboxMove, type Sandbox, type SandboxSpec, SandboxState } from '#core/sandbox/sandbox.ts'
import { storable, storableText } from '../ledger/encode.ts'
import { storeError, violatedConstraint } from '../store/errors.ts'
import { sandboxes } from '../store/schema/sandboxes.ts'
import type { Store } from '../store/store.ts'
import type { Created, ProviderHandle } from './provider.ts'

/** The database knows what sandboxes there are and how to find them; their private keys are files (`keys.ts`). */
export interface SandboxStore {
  /** A row in `creating`. Throws `conflict` when a live sandbox has that name. */
  insert(sandbox: { spec: SandboxSpec; run: RunId | null; provider: string }): Promise<Sandbox>
  /** `ref` is an id, a live sandbox's name, or the beginning of an id that fits one only. Throws `not_found`, `conflict`. */
  get(ref: string): Promise<Sandbox>
  /** Newest first; without `all` neither destroyed nor failed ones. */
  list(all: boolean): Promise<Sandbox[]>
  counts(): Promise<{ live: number }>
  /** Checks the table and sets in one statement. Throws `illegal_move`, `not_found`. */
  move(id: SandboxId, to: SandboxState, reason?: string): Promise<Sandbox>
  setHandle(id: SandboxId, created: Created): Promise<void>
  /** Null before `setHandle`. Throws `not_found`. */
  handle(id: SandboxId): Promise<ProviderHandle | null>
  /** The egress patterns that the sandbox was created with. Throws `not_found`. */
  allow(id: SandboxId): Promise<string[]>
}

const shown = {
  id: sandboxes.id,
  name: sandboxes.name,
  state: sandboxes.state,
  provider: sandboxes.provider,
  run: sandboxes.run,
  limits: sandboxes.limits,
  enforcement: sandboxes.enforcement,
  reason: sandboxes.reason,
  createdAt: sandboxes.createdAt,
}

type ShownRow = Omit<Sandbox, 'id' | 'run'> & { id: string; run: string | null }
const toSandbox = (row: ShownRow): Sandbox => row as Sandbox

const over: SandboxState[] = ['destroyed', 'failed']
const attempts = 5

/** The states from which the table lets a sandbox go to `to`. */
const originsOf = (to: SandboxState): SandboxState[] =>
  SandboxState.options.filter((from) => {
    try {
      assertSandboxMove(from, to)
      return true
    } catch {
      return false
    }
  })

const noSuchSandbox = (ref: string) =>
  new ForgeError('not_found', `there is no sandbox ${ref}`, { hint: '"forge sandbox ls" lists them' })

/** Every method throws `store_unavailable` and `disk_full` besides what it says itself. */
class PostgresSandboxStore implements SandboxStore {
  readonly #store: Store
  readonly #clock: Clock
  readonly #makeId: (prefix: IdPrefix) => string

  constructor(store: Store, options: { clock: Clock; makeId: (prefix: IdPrefix) => string }) {
    this.#store = store
    this.#clock = options.clock
    this.#makeId = options.makeId
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  async #try<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw storeError(error)
    }
  }

  async insert({
    spec,
    run,
    provider,
  }: {
    spec: SandboxSpec
    run: RunId | null
    provider: string
  }): Promise<Sandbox> {
    for (let attempt = 1; ; attempt += 1) {
      const createdAt = this.#now()
      const { name = null, limits, allow } = storable(spec)
      const id = SandboxId.parse(this.#makeId('sbx'))
      const row = { id, name, provider, run, limits, allow, createdAt, changedAt: createdAt }
      try {
        const [made] = await this.#store.db.insert(sandboxes).values(row).returning(shown)
        return toSandbox(made as ShownRow)
      } catch (error) {
        const violated = violatedConstraint(error)
        if (violated === 'sandboxes_live_name')
          throw new ForgeError('conflict', `there is already a sandbox named ${name}`, {
            hint: `take another name, or "forge sandbox rm ${name}" first`,
          })
        if (violated !== 'sandboxes_pkey' || attempt === attempts) throw storeError(error)
      }
    }
  }

  #select(where: SQL | undefined, limit: number): Promise<ShownRow[]> {
    const order = [desc(sandboxes.createdAt), desc(sandboxes.id)]
    return this.#try(
      this.#store.db
        .select(shown)
        .from(sandboxes)
        .where(where)
        .orderBy(...order)
        .limit(limit),
    )
  }

  async get(ref: string): Promise<Sandbox> {
    const name = storableText(ref)
    const isLive = notInArray(sandboxes.state, over)
    const [exact] = await this.#select(or(eq(sandboxes.id, name), and(eq(sandboxes.name, name), isLive)), 1)
    if (exact !== undefined) return toSandbox(exact)
    const prefix = ref.startsWith('sbx_') ? ref : `sbx_${ref}`
    if (!/^sbx_[0-9a-z]{1,10}$/.test(prefix)) throw noSuchSandbox(ref)
    const found = await this.#select(like(sandboxes.id, `${prefix.replace('_', '\\_')}%`), 6)
    const [only] = found
    if (only === undefined) throw noSuchSandbox(ref)
    if (found.length > 1)
      throw new ForgeError(
        'conflict',
        `${ref} is the beginning of ${found.length > 5 ? 'many' : found.length} sandboxes`,
        {
          hint: 'give more of the id',
          data: { ids: found.map(({ id }) => id) },
        },
      )
    return toSandbox(only)
  }

  async list(all: boolean): Promise<Sandbox[]> {
    const rows = await this.#select(all ? undefined : notInArray(sandboxes.state, over), 10_000)
    return rows.map(toSandbox)
  }

  async counts(): Promise<{ live: number }> {
    return { live: await this.#try(this.#store.db.$count(sandboxes, notInArray(sandboxes.state, over))) }
  }

  async move(id: SandboxId, to: SandboxState, reason?: string): Promise<Sandbox> {
    const change = {
      state: to,
      changedAt: this.#now(),
      ...(reason === undefined ? {} : { reason: storableText(reason) }),
    }
    const [moved] = await this.#try(
      this.#store.db
        .update(sandboxes)
        .set(change)
        .where(and(eq(sandboxes.id, id), inArray(sandboxes.state, originsOf(to))))
        .returning(shown),
    )
    if (moved !== undefined) return toSandbox(moved)
    const { state } = await this.#row(id)
    assertSandboxMove(state, to)
    throw new ForgeError('conflict', `sandbox ${id} was moved by somebody else at the same time`)
  }

  async setHandle(id: SandboxId, { handle, enforcement }: Created): Promise<void> {
    const change = storable({ handle, enforcement })
    const found = await this.#try(
      this.#store.db
        .update(sandboxes)
        .set(change)
        .where(eq(sandboxes.id, id))
        .returning({ id: sandboxes.id }),
    )
    if (found.length === 0) throw noSuchSandbox(id)
  }

  async #row(id: SandboxId) {
    const [row] = await this.#try(this.#store.db.select().from(sandboxes).where(eq(sandboxes.id, id)))
    if (row === undefined) throw noSuchSandbox(id)
    return row
  }

  async handle(id: SandboxId): Promise<ProviderHandle | null> {
    return (await this.#row(id)).handle
  }

  async allow(id: SandboxId): Promise<string[]> {
    return (await this.#row(id)).allow
  }
}

/** `random` gives that many random bytes. */
export const sandboxStore = (
  store: Store,
  { random, clock }: { random: (bytes: number) => Uint8Array; clock: Clock },
): SandboxStore => new PostgresSandboxStore(store, { clock, makeId: (prefix) => makeId(prefix, random) })
