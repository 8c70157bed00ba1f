import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Event } from '#core/event/event.ts'
import { RunId } from '#core/id.ts'
import { postgresLedger } from '../../ledger/postgres-ledger.ts'
import { clock, collect, finished, forever, newRun, type Subject, said, seqs, upTo } from './fixtures.ts'

/** Following, across everything that can come in between. */
export function describeFollow(subject: () => Subject): void {
  describe('following', () => {
    it('follows: stored events, one caught-up, live ones, and the end', async () => {
      const { id } = await subject().runs.create(newRun())
      await subject().ledger.append(id, [said('a'), said('b')])
      const reading = collect(subject().ledger.follow(id, 1, forever))
      await sleep(50)
      await subject().ledger.append(id, [said('c')])
      await subject().ledger.append(id, [finished])
      expect(await reading).toMatchObject({
        events: [{ seq: 2 }, { seq: 3 }, { seq: 4 }, { seq: 5 }],
        caughtUp: [3],
      })
      expect((await collect(subject().ledger.follow(id, 0, forever))).caughtUp).toEqual([5])
      expect(await collect(subject().ledger.follow(id, 5, forever))).toEqual({ events: [], caughtUp: [5] })
      const nobody = subject().ledger.follow(RunId.parse('run_zzzzzzzzzz'), 0, forever)
      await expect(collect(nobody)).rejects.toMatchObject({ code: 'not_found' })
    })

    it('stops following on abort, before, while and after reading', async () => {
      const { id } = await subject().runs.create(newRun())
      expect(
        (await collect(subject().ledger.follow(id, 0, AbortSignal.abort()))).events.length,
      ).toBeLessThanOrEqual(1)
      const controller = new AbortController()
      const reading = collect(subject().ledger.follow(id, 0, controller.signal))
      await sleep(50)
      controller.abort()
      expect(seqs((await reading).events)).toEqual([1])
    })

    it('hands a slow reader everything, though it was handed over far more than it may hold', async () => {
      const { id } = await subject().runs.create(newRun())
      const released = Promise.withResolvers<void>()
      let read = 0
      const pause = async () => {
        read += 1
        if (read === 1) await released.promise
      }
      const reading = collect(subject().ledger.follow(id, 0, forever), pause)
      await Promise.all(upTo(1, 2000).map((index) => subject().ledger.append(id, [said(`${index}`)])))
      await subject().ledger.append(id, [finished])
      released.resolve()
      expect(seqs((await reading).events)).toEqual(upTo(1, 2002))
    })

    it('shows the events of another process', async () => {
      const other = await subject().again()
      const foreign = postgresLedger({ store: other, clock })
      try {
        const { id } = await subject().runs.create(newRun())
        const reading = collect(subject().ledger.follow(id, 0, forever))
        await sleep(50)
        const both = upTo(1, 100).map((index) =>
          (index % 2 === 0 ? subject().ledger : foreign).append(id, [said(`${index}`)]),
        )
        await Promise.all(both)
        await foreign.append(id, [finished])
        expect(seqs((await reading).events)).toEqual(upTo(1, 102))
      } finally {
        await foreign.close()
        await other.close()
      }
    })

    it('shows every follower each event exactly once, whenever it joins', { timeout: 60_000 }, async () => {
      const ids = await Promise.all(upTo(1, 6).map(async () => (await subject().runs.create(newRun())).id))
      const followers: Promise<void>[] = []
      const watch = async (id: RunId, after: number) => {
        const { events, caughtUp } = await collect(subject().ledger.follow(id, after, forever), () =>
          randomInt(10) === 0 ? sleep(randomInt(4)) : Promise.resolve(),
        )
        expect(caughtUp).toHaveLength(1)
        expect(seqs(events)).toEqual(upTo(after + 1, events.at(-1)?.seq ?? 0))
        expect(events.at(-1)?.type).toBe('run.finished')
      }
      const write = async (id: RunId) => {
        let last = 1
        const pending: Promise<unknown>[] = []
        for (let round = 0; round < 60; round += 1) {
          if (round % 6 === 0) followers.push(watch(id, randomInt(last)))
          const drafts = upTo(1, 1 + randomInt(6)).map((index) => said(`${round}.${index}`))
          pending.push(
            subject()
              .ledger.append(id, drafts)
              .then((events) => {
                last = events.at(-1)?.seq ?? last
              }),
          )
          if (randomInt(3) === 0) await sleep(randomInt(3))
        }
        await Promise.all(pending)
        await subject().ledger.append(id, [finished])
      }
      await Promise.all(ids.map(write))
      await Promise.all(followers)
    })

    it('goes on after its connections were cut, with nothing lost or doubled', {
      timeout: 60_000,
    }, async () => {
      const { id } = await subject().runs.create(newRun())
      const reading = collect(subject().ledger.follow(id, 0, forever))
      let over = false
      const cutting = (async () => {
        while (!over) {
          await subject().store.sql`
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE (application_name LIKE 'forge ledger %' OR application_name LIKE 'forge listener %')
              AND datname = current_database()`
          await sleep(20 + randomInt(60))
        }
      })()
      const results: Event[][] = []
      for (let round = 0; round < 40; round += 1)
        results.push(
          ...(await Promise.all(
            upTo(1, 5).map((index) => subject().ledger.append(id, [said(`${round}.${index}`)])),
          )),
        )
      over = true
      await cutting
      await subject().ledger.append(id, [finished])
      expect(seqs(results.flat())).toEqual(upTo(2, 201))
      expect(seqs((await reading).events)).toEqual(upTo(1, 202))
    })
  })
}
