import { and, desc, eq, inArray, like, notInArray, or, type SQL } from 'drizzle-orm'
import { ForgeError } from '#core/errors.ts'
import { type Clock, type IdPrefix, makeId, type RunId, SandboxId } from '#core/id.ts'
import { assertSandboxMove, type Sandbox, type SandboxSpec, SandboxState } from '#core/sandbox/sandbox.ts'
import { storable, storableText } from '../ledger/encode.ts'
import { violatedConstraint, worded } from '../store/errors.ts'
import { idsLike, mostMatches, theOnly, withFreshId } from '../store/refs.ts'
import { sandboxes } from '../store/schema/sandboxes.ts'
import type { Store } from '../store/store.ts'
import type { Created, ProviderHandle } from './provider.ts'

interface NewSandbox {
  readonly spec: SandboxSpec
  readonly run: RunId | null
  readonly provider: string
}

/** The database knows what sandboxes there are and how to find them; their private keys are files (`keys.ts`). */
export interface SandboxStore {
  /** A row in `creating`. Throws `conflict` when a live sandbox has that name. */
  insert(sandbox: NewSandbox): Promise<Sandbox>
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

const nameTaken = (name: string | null) =>
  new ForgeError('conflict', `there is already a sandbox named ${name}`, {
    hint: `take another name, or "forge sandbox rm ${name}" first`,
  })

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

  insert({ spec, run, provider }: NewSandbox): Promise<Sandbox> {
    const { name = null, limits, allow } = storable(spec)
    return withFreshId('sandboxes_pkey', async () => {
      const createdAt = this.#now()
      const id = SandboxId.parse(this.#makeId('sbx'))
      const row = { id, name, provider, run, limits, allow, createdAt, changedAt: createdAt }
      const [made] = await this.#store.db
        .insert(sandboxes)
        .values(row)
        .returning(shown)
        .catch((error: unknown) => {
          throw violatedConstraint(error) === 'sandboxes_live_name' ? nameTaken(name) : error
        })
      return toSandbox(made as ShownRow)
    })
  }

  #select(where: SQL | undefined, limit: number): Promise<ShownRow[]> {
    const order = [desc(sandboxes.createdAt), desc(sandboxes.id)]
    return worded(
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
    const pattern = idsLike('sbx', ref)
    if (pattern === null) throw noSuchSandbox(ref)
    const found = await this.#select(like(sandboxes.id, pattern), mostMatches)
    return toSandbox(theOnly(found, { ref, plural: 'sandboxes', none: () => noSuchSandbox(ref) }))
  }

  async list(all: boolean): Promise<Sandbox[]> {
    const rows = await this.#select(all ? undefined : notInArray(sandboxes.state, over), 10_000)
    return rows.map(toSandbox)
  }

  async counts(): Promise<{ live: number }> {
    return { live: await worded(this.#store.db.$count(sandboxes, notInArray(sandboxes.state, over))) }
  }

  async move(id: SandboxId, to: SandboxState, reason?: string): Promise<Sandbox> {
    const change = {
      state: to,
      changedAt: this.#now(),
      ...(reason === undefined ? {} : { reason: storableText(reason) }),
    }
    const [moved] = await worded(
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
    const found = await worded(
      this.#store.db
        .update(sandboxes)
        .set(change)
        .where(eq(sandboxes.id, id))
        .returning({ id: sandboxes.id }),
    )
    if (found.length === 0) throw noSuchSandbox(id)
  }

  async #row(id: SandboxId) {
    const [row] = await worded(this.#store.db.select().from(sandboxes).where(eq(sandboxes.id, id)))
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
