import { describe, expect, it } from 'vitest'
import { RunId } from '#core/id.ts'
import { runStore } from '../../run/run-store.ts'
import { clock, finished, newRun, random, type Subject, upTo } from './fixtures.ts'

/** The store of runs. */
export function describeRuns(subject: () => Subject): void {
  describe('runs', () => {
    it('makes the row and its first event together', async () => {
      const run = await subject().runs.create(newRun('fix \0 it \ud800'))
      expect(run).toMatchObject({
        state: 'queued',
        outcome: null,
        lastSeq: 1,
        prompt: 'fix ␀ it \ufffd',
        cost: 0,
      })
      expect(await subject().runs.get(run.id)).toEqual(run)
      const [created, ...rest] = await subject().ledger.read(run.id, { after: 0, limit: 10 })
      expect(rest).toEqual([])
      expect(created).toMatchObject({ seq: 1, type: 'run.created', actor: 'user:test', at: run.createdAt })
      expect(created?.data).toMatchObject({ model: 'demo/scripted', spec: { prompt: 'fix ␀ it \ufffd' } })
    })

    it('keeps the longest prompt that a run may have', async () => {
      const prompt = '\u0001'.repeat(1_000_000)
      const { id } = await subject().runs.create(newRun(prompt))
      expect((await subject().runs.spec(id)).prompt).toBe(prompt)
    })

    it('takes another id when one is in use', async () => {
      const bytes = [1, 1, 2].map((value) => new Uint8Array(10).fill(value))
      const scripted = runStore(subject().store, { random: () => bytes.shift() ?? random(10), clock })
      expect((await scripted.create(newRun())).id).toBe('run_1111111111')
      expect((await scripted.create(newRun())).id).toBe('run_2222222222')
    })

    it('finds by id, by a beginning that fits one only, and the last', async () => {
      const fixed = (last: number) => {
        const id = new Uint8Array(10).fill(29)
        id[9] = last
        return id
      }
      const bytes = [fixed(1), fixed(2)]
      const scripted = runStore(subject().store, {
        random: () => bytes.shift() ?? random(10),
        clock: { now: () => Date.now() + 1000 },
      })
      const first = await scripted.create(newRun())
      const second = await scripted.create(newRun())
      expect((await subject().runs.get('last')).id).toBe([first.id, second.id].sort().at(-1))
      expect((await subject().runs.get(first.id.slice(4))).id).toBe(first.id)
      await expect(subject().runs.get(first.id.slice(0, 8))).rejects.toMatchObject({ code: 'conflict' })
      for (const ref of ['run_%', 'run_', '', '%', "'", 'run_000000000000', '\0'])
        await expect(subject().runs.get(ref)).rejects.toMatchObject({ code: 'not_found' })
    })

    it('moves by the table only, once, and never out of finished, where the last event takes it', async () => {
      const { id } = await subject().runs.create(newRun())
      await expect(subject().runs.setState(id, { from: 'queued', to: 'waiting' })).rejects.toMatchObject({
        code: 'illegal_move',
      })
      await expect(subject().runs.setState(id, { from: 'running', to: 'waiting' })).rejects.toMatchObject({
        code: 'conflict',
      })
      const race = await Promise.allSettled(
        upTo(1, 8).map(() => subject().runs.setState(id, { from: 'queued', to: 'preparing' })),
      )
      expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      await subject().runs.setState(id, { from: 'preparing', to: 'running' })
      await subject().ledger.append(id, [finished])
      const done = await subject().runs.get(id)
      const { outcome, turns, tokens, cost, diff, summary, reason } = finished.data
      expect(done).toMatchObject({
        state: 'finished',
        outcome,
        turns,
        tokens,
        cost,
        diff,
        summary,
        reason,
        lastSeq: 2,
      })
      expect(done.finishedAt).toMatch(/^\d{4}-.*Z$/)
      await expect(subject().runs.setState(id, { from: 'finished', to: 'running' })).rejects.toMatchObject({
        code: 'illegal_move',
      })
      expect((await subject().runs.unfinished()).map((run) => run.id)).not.toContain(id)
    })

    it('keeps progress and the first cancellation', async () => {
      const { id } = await subject().runs.create(newRun())
      expect(await subject().runs.cancelRequested(id)).toBeNull()
      await subject().runs.requestCancel(id, 'interrupted')
      await subject().runs.requestCancel(id, 'cancelled')
      await subject().runs.update(id, { turns: 2, reason: 'a\0b' })
      expect(await subject().runs.cancelRequested(id)).toBe('interrupted')
      expect(await subject().runs.get(id)).toMatchObject({ turns: 2, reason: 'a␀b', state: 'queued' })
      expect(await subject().runs.spec(id)).toEqual(newRun().spec)
      expect(await subject().runs.counts()).toMatchObject({
        active: (await subject().runs.unfinished()).length,
      })
      const nobody = RunId.parse('run_zzzzzzzzzz')
      await expect(subject().runs.update(nobody, { turns: 1 })).rejects.toMatchObject({ code: 'not_found' })
      await expect(subject().runs.requestCancel(nobody, 'cancelled')).rejects.toMatchObject({
        code: 'not_found',
      })
    })
  })
}
