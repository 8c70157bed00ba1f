import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { EventDraft } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { RunSpec } from '#core/run/run.ts'
import { type PostgresLedger, postgresLedger } from '#server/ledger/postgres-ledger.ts'
import { runStore } from '#server/run/run-store.ts'
import { openStore } from '#server/store/open.ts'
import type { Store } from '#server/store/store.ts'
import type { Place } from './benchmark.ts'

export interface LedgerRig extends AsyncDisposable {
  readonly store: Store
  readonly ledger: PostgresLedger
  newRun(): Promise<RunId>
}

const clock = { now: Date.now }

/** The embedded database with a ledger in this process, as the server has it. */
export async function ledgerRig({ root, scratch }: Place): Promise<LedgerRig> {
  const store = await openStore({
    kind: 'embedded',
    dataDir: path.join(scratch, 'data'),
    migrations: path.join(root, 'migrations'),
  })
  const runs = runStore(store, { random: (bytes) => randomBytes(bytes), clock })
  const ledger = postgresLedger({ store, clock })
  return {
    store,
    ledger,
    async newRun() {
      const spec = RunSpec.parse({ prompt: 'measure', source: { kind: 'none' } })
      const made = { spec, actor: 'user:bench', model: 'scripted', provider: 'bubblewrap', source: 'none' }
      return (await runs.create(made)).id
    },
    async [Symbol.asyncDispose]() {
      await ledger.close()
      await store.close()
    },
  }
}

/** A piece of an answer: the kind of event that comes most often. */
export const delta = (n: number): EventDraft => ({
  actor: 'agent',
  type: 'message.delta',
  data: { turn: 1, kind: 'text', text: `piece ${n}: the quick brown fox jumps over the lazy dog. ` },
})
