import { afterAll, beforeAll, describe } from 'vitest'
import { postgresLedger } from '../../ledger/postgres-ledger.ts'
import { runStore } from '../../run/run-store.ts'
import { clock, type OpenedStore, random, type Subject } from './fixtures.ts'
import { describeFollow } from './follow.ts'
import { describeLedger } from './ledger.ts'
import { describeRuns } from './runs.ts'
import { describeSandboxes } from './sandboxes.ts'
import { describeSchema } from './schema.ts'

/** What every database must do; the same for the embedded and for a given one. */
export function describeStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(`store: ${name}`, () => {
    let subject: Subject | undefined
    const opened = (): Subject => {
      if (subject === undefined) throw new Error('the store did not open')
      return subject
    }

    beforeAll(async () => {
      const { store, ...rest } = await open()
      const runs = runStore(store, { random, clock })
      subject = { ...rest, store, runs, ledger: postgresLedger({ store, clock }) }
    }, 60_000)

    afterAll(async () => {
      await subject?.ledger.close()
      await subject?.close()
    }, 60_000)

    describeSchema(opened)
    describeRuns(opened)
    describeSandboxes(opened)
    describeLedger(opened)
    describeFollow(opened)
  })
}
