import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { EventData } from '#core/event/event.ts'
import { noTokens, outcomeExit, RunSpec } from '#core/run/run.ts'
import { postgresLedger } from '#server/ledger/postgres-ledger.ts'
import { runStore } from '#server/run/run-store.ts'
import { openStore } from '#server/store/open.ts'
import type { Benchmark, Place } from './benchmark.ts'
import { command, inTurns, timed } from './measure.ts'
import { runningServer } from './server.ts'

const runCount = 20

function finished(n: number): EventData<'run.finished'> {
  const outcome = n % 5 === 0 ? 'check_failed' : 'done'
  return {
    outcome,
    exitCode: outcomeExit[outcome],
    summary: `made test ${n} pass`,
    reason: null,
    turns: n,
    tokens: noTokens,
    cost: n / 100,
    diff: { files: 1, insertions: n, deletions: 1 },
    check: null,
    ms: 1000,
  }
}

/** Finished runs, as they lie in the database after a week of work. */
async function fillRuns({ root }: Place, home: string): Promise<void> {
  const store = await openStore({
    kind: 'embedded',
    dataDir: path.join(home, 'data'),
    migrations: path.join(root, 'migrations'),
  })
  const runs = runStore(store, { random: (bytes) => randomBytes(bytes), clock: { now: Date.now } })
  const ledger = postgresLedger({ store, clock: { now: Date.now } })
  for (let n = 1; n <= runCount; n++) {
    const { id } = await runs.create({
      spec: RunSpec.parse({ prompt: `make failing test number ${n} pass`, source: { kind: 'none' } }),
      actor: 'user:bench',
      model: 'demo/scripted',
      provider: 'bubblewrap',
      source: '/home/dev/project',
    })
    await ledger.append(id, [{ actor: 'server', type: 'run.finished', data: finished(n) }])
  }
  await ledger.close()
  await store.close()
}

export const benchmark: Benchmark = {
  name: 'start',
  about: 'start of the CLI',
  async run(place) {
    const home = path.join(place.scratch, 'home')
    await fillRuns(place, home)
    const env = { PATH: process.env.PATH, HOME: place.scratch, FORGE_HOME: home, LANG: 'C.UTF-8' }
    const bin = path.join(place.root, 'bin/forge.cjs')
    const forge = (...args: string[]) => command(process.execPath, [bin, ...args], { env })
    await using _server = await runningServer(place, home)
    const found = await inTurns(
      {
        node: () => timed(() => command(process.execPath, ['-e', '0'], { env })),
        version: () => timed(() => forge('--version')),
        list: () => timed(() => forge('runs', 'ls')),
        listJson: () => timed(() => forge('runs', 'ls', '--json')),
      },
      { times: 60, warmUp: 4 },
    )
    const against = (ours: string, sample: typeof found.node, ratio: number) =>
      ({
        ours,
        peer: 'node -e 0',
        unit: 'ms',
        oursSample: sample,
        peerSample: found.node,
        bound: { kind: 'at most', ratio },
      }) as const
    return {
      comparisons: [
        against('forge --version', found.version, 1.2),
        against(`forge runs ls (${runCount} runs)`, found.list, 1.5),
        against(`forge runs ls --json (${runCount} runs)`, found.listJson, 1.5),
      ],
    }
  },
}
