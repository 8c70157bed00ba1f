import { postgresLedger } from '../../ledger/postgres-ledger.ts'
import { runStore } from '../../run/run-store.ts'
import { lockDataDir } from '../lock.ts'
import { openStore } from '../open.ts'
import { clock, newRun, random, said } from './fixtures.ts'

/**
 * A server in small, to be killed: locks a data directory, opens its store, and appends until its end.
 * Prints the run's id, then the seq of each event that was acknowledged.
 */
const [dataDir = '', migrations = ''] = process.argv.slice(2)
await lockDataDir(dataDir)
const store = await openStore({ kind: 'embedded', dataDir, migrations })
const ledger = postgresLedger({ store, clock })
const { id } = await runStore(store, { random, clock }).create(newRun())
process.stdout.write(`${id}\n`)
const append = async () => {
  for (;;) {
    const [event] = await ledger.append(id, [said('x'.repeat(1000))])
    process.stdout.write(`${event?.seq}\n`)
  }
}
await Promise.all([append(), append(), append(), append()])
