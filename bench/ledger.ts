import type { RunId } from '#core/id.ts'
import type { Benchmark } from './benchmark.ts'
import { delta, ledgerRig } from './ledger-rig.ts'
import { inTurns, type Task, timed } from './measure.ts'

const writers = 8
/** Events under way at once of one run whose output streams in. */
const streaming = 64

const perSecond =
  (rows: number, work: () => Promise<unknown>): Task =>
  async () =>
    rows / ((await timed(work)) / 1000)

export const benchmark: Benchmark = {
  name: 'ledger',
  about: 'durable appends per second',
  async run(place) {
    await using rig = await ledgerRig(place)
    const { ledger, store } = rig
    const runs: RunId[] = []
    for (let n = 0; n < writers; n++) runs.push(await rig.newRun())
    const alone = await rig.newRun()
    const one = store.connect({ name: 'one by one', max: 1 })
    let seq = 1
    const insertOne = async (n: number) => {
      const { actor, type, data } = delta(n)
      seq += 1
      await one`INSERT INTO events (run_id, seq, at, actor, type, data, batch)
        VALUES (${alone}, ${seq}, ${new Date().toISOString()}::text::timestamptz, ${actor}, ${type}, ${JSON.stringify(data)}::text::jsonb, ${1})`
    }
    const eachRun = (work: (run: RunId) => Promise<unknown>) => () => Promise.all(runs.map(work))
    const waiting = 60
    const rounds = 8
    const found = await inTurns(
      {
        streaming: perSecond(
          writers * streaming * rounds,
          eachRun(async (run) => {
            const lane = async () => {
              for (let n = 0; n < rounds; n++) await ledger.append(run, [delta(n)])
            }
            await Promise.all(Array.from({ length: streaming }, lane))
          }),
        ),
        waiting: perSecond(
          writers * waiting,
          eachRun(async (run) => {
            for (let n = 0; n < waiting; n++) await ledger.append(run, [delta(n)])
          }),
        ),
        oneByOne: perSecond(400, async () => {
          for (let n = 0; n < 400; n++) await insertOne(n)
        }),
      },
      { times: 15, warmUp: 3 },
    )
    await one.end()
    const peer = 'INSERT of one row for each transaction, one connection'
    return {
      comparisons: [
        {
          ours: `${writers} runs at once, ${streaming} events of each under way`,
          peer,
          unit: '/s',
          oursSample: found.streaming,
          peerSample: found.oneByOne,
          bound: { kind: 'at least', ratio: 8 },
        },
        {
          ours: `${writers} runs at once, each waiting for its event before the next`,
          peer,
          unit: '/s',
          oursSample: found.waiting,
          peerSample: found.oneByOne,
        },
      ],
      notes: [
        'fsync, synchronous_commit and full_page_writes are on for both; the INSERT keeps no count of its run, the append does',
      ],
    }
  },
}
