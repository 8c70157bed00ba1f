import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Event, EventDraft } from '#core/event/event.ts'
import { RunId } from '#core/id.ts'
import { noTokens, RunSpec } from '#core/run/run.ts'
import { SandboxSpec } from '#core/sandbox/sandbox.ts'
import type { StreamItem } from '#core/stream.ts'
import { maxEventBytes } from '../ledger/encode.ts'
import { type PostgresLedger, postgresLedger } from '../ledger/postgres-ledger.ts'
import { type RunStore, runStore } from '../run/run-store.ts'
import { sandboxStore } from '../sandbox/sandbox-store.ts'
import type { Store } from './store.ts'

export interface OpenedStore {
  readonly store: Store
  /** A second process's view of the same database. */
  readonly again: () => Promise<Store>
  readonly close: () => Promise<void>
}

const clock = { now: () => Date.now() }
const random = (bytes: number) => randomBytes(bytes)

const newRun = (prompt = 'do it') => ({
  spec: RunSpec.parse({ prompt }),
  actor: 'user:test',
  model: 'demo/scripted',
  provider: 'bubblewrap',
  source: 'none',
})

export const said = (text: string): EventDraft => ({
  actor: 'user:test',
  type: 'message.user',
  data: { text },
})

export const finished: EventDraft = {
  actor: 'server',
  type: 'run.finished',
  data: {
    outcome: 'done',
    exitCode: 0,
    summary: null,
    reason: null,
    turns: 0,
    tokens: noTokens,
    cost: 0,
    diff: null,
    check: null,
    ms: 1,
  },
}

/** Follows to the end. `pause` makes a slow reader. */
export async function collect(
  stream: AsyncIterable<StreamItem<Event>>,
  pause: () => Promise<unknown> = async () => undefined,
): Promise<{ events: Event[]; caughtUp: number[] }> {
  const events: Event[] = []
  const caughtUp: number[] = []
  for await (const item of stream) {
    if (item.kind === 'caught-up') caughtUp.push(item.after)
    else {
      events.push(item.item)
      await pause()
    }
  }
  return { events, caughtUp }
}

const seqs = (events: readonly Event[]) => events.map((event) => event.seq)
const upTo = (from: number, last: number) =>
  Array.from({ length: last - from + 1 }, (_, index) => from + index)
const forever = new AbortController().signal

/** What every database must do; the same for the embedded and for a given one. */
export function describeStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(`store: ${name}`, () => {
    let opened: OpenedStore
    let store: Store
    let runs: RunStore
    let ledger: PostgresLedger

    beforeAll(async () => {
      opened = await open()
      store = opened.store
      runs = runStore(store, { random, clock })
      ledger = postgresLedger({ store, clock })
    }, 60_000)

    afterAll(async () => {
      await ledger?.close()
      await opened?.close()
    }, 60_000)

    describe('runs', () => {
      it('makes the row and its first event together', async () => {
        const run = await runs.create(newRun('fix \0 it \ud800'))
        expect(run).toMatchObject({
          state: 'queued',
          outcome: null,
          lastSeq: 1,
          prompt: 'fix ␀ it \ufffd',
          cost: 0,
        })
        expect(await runs.get(run.id)).toEqual(run)
        const [created, ...rest] = await ledger.read(run.id, { after: 0, limit: 10 })
        expect(rest).toEqual([])
        expect(created).toMatchObject({ seq: 1, type: 'run.created', actor: 'user:test', at: run.createdAt })
        expect(created?.data).toMatchObject({ model: 'demo/scripted', spec: { prompt: 'fix ␀ it \ufffd' } })
      })

      it('takes another id when one is in use', async () => {
        const bytes = [1, 1, 2].map((value) => new Uint8Array(10).fill(value))
        const scripted = runStore(store, { random: () => bytes.shift() ?? random(10), clock })
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
        const scripted = runStore(store, {
          random: () => bytes.shift() ?? random(10),
          clock: { now: () => Date.now() + 1000 },
        })
        const first = await scripted.create(newRun())
        const second = await scripted.create(newRun())
        expect((await runs.get('last')).id).toBe([first.id, second.id].sort().at(-1))
        expect((await runs.get(first.id.slice(4))).id).toBe(first.id)
        await expect(runs.get(first.id.slice(0, 8))).rejects.toMatchObject({ code: 'conflict' })
        for (const ref of ['run_%', 'run_', '', '%', "'", 'run_000000000000', '\0'])
          await expect(runs.get(ref)).rejects.toMatchObject({ code: 'not_found' })
      })

      it('moves by the table only, once, and never out of finished', async () => {
        const { id } = await runs.create(newRun())
        await expect(runs.setState(id, { from: 'queued', to: 'waiting' })).rejects.toMatchObject({
          code: 'illegal_move',
        })
        await expect(runs.setState(id, { from: 'running', to: 'waiting' })).rejects.toMatchObject({
          code: 'conflict',
        })
        const race = await Promise.allSettled(
          upTo(1, 8).map(() => runs.setState(id, { from: 'queued', to: 'preparing' })),
        )
        expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        await runs.setState(id, { from: 'preparing', to: 'running' })
        const done = await runs.finish(id, 'done', { summary: 'did it', turns: 3, cost: null })
        expect(done).toMatchObject({
          state: 'finished',
          outcome: 'done',
          summary: 'did it',
          turns: 3,
          cost: null,
        })
        expect(done.finishedAt).toMatch(/^\d{4}-.*Z$/)
        await expect(runs.finish(id, 'failed')).rejects.toMatchObject({ code: 'illegal_move' })
        expect((await runs.unfinished()).map((run) => run.id)).not.toContain(id)
      })

      it('keeps work, resume data and the first cancellation', async () => {
        const { id } = await runs.create(newRun())
        expect([await runs.work(id), await runs.resume(id), await runs.cancelRequested(id)]).toEqual([
          null,
          null,
          null,
        ])
        const work = {
          branch: 'forge/x',
          start: null,
          tip: null,
          head: null,
          stat: { files: 0, insertions: 0, deletions: 0 },
          files: [],
          bundle: null,
          patch: null,
        }
        await runs.setWork(id, work)
        await runs.setResume(id, { a: ['\0'] })
        await runs.requestCancel(id, 'interrupted')
        await runs.requestCancel(id, 'cancelled')
        await runs.update(id, { turns: 2 })
        expect(await runs.work(id)).toEqual(work)
        expect(await runs.resume(id)).toEqual({ a: ['␀'] })
        expect(await runs.cancelRequested(id)).toBe('interrupted')
        expect(await runs.get(id)).toMatchObject({ turns: 2, state: 'queued' })
        expect(await runs.counts()).toMatchObject({ active: (await runs.unfinished()).length })
        const nobody = RunId.parse('run_zzzzzzzzzz')
        await expect(runs.update(nobody, { turns: 1 })).rejects.toMatchObject({ code: 'not_found' })
        await expect(runs.requestCancel(nobody, 'cancelled')).rejects.toMatchObject({ code: 'not_found' })
      })
    })

    describe('sandboxes', () => {
      const spec = (sandboxName?: string) =>
        SandboxSpec.parse({ name: sandboxName, allow: ['a.example:443'] })
      const make = (sandboxName?: string) => ({ spec: spec(sandboxName), run: null, provider: 'bubblewrap' })
      const enforced = { enforced: true, how: 'cgroup' }

      it('lets one live sandbox have a name, and gives it away after', async () => {
        const sandboxes = sandboxStore(store, { random, clock })
        const [won, ...lost] = await Promise.allSettled(
          upTo(1, 4).map(() => sandboxes.insert(make('web'))),
        ).then((all) => all.toSorted((a) => (a.status === 'fulfilled' ? -1 : 1)))
        expect(lost.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(
          Array(3).fill('conflict'),
        )
        const first = won?.status === 'fulfilled' ? won.value : expect.fail('no insert won')
        expect(await sandboxes.get('web')).toEqual(first)
        expect(await sandboxes.get(first.id.slice(0, 12))).toEqual(first)
        await sandboxes.move(first.id, 'failed', 'it \0 broke')
        await expect(sandboxes.get('web')).rejects.toMatchObject({ code: 'not_found' })
        expect(await sandboxes.get(first.id)).toMatchObject({ state: 'failed', reason: 'it ␀ broke' })
        const second = await sandboxes.insert(make('web'))
        expect((await sandboxes.get('web')).id).toBe(second.id)
        expect((await sandboxes.list(false)).map(({ id }) => id)).not.toContain(first.id)
        expect((await sandboxes.list(true)).map(({ id }) => id)).toContain(first.id)
      })

      it('moves by the table and keeps the handle', async () => {
        const sandboxes = sandboxStore(store, { random, clock })
        const { id } = await sandboxes.insert(make())
        expect(await sandboxes.handle(id)).toBeNull()
        expect(await sandboxes.allow(id)).toEqual(['a.example:443'])
        await expect(sandboxes.move(id, 'running')).rejects.toMatchObject({ code: 'illegal_move' })
        await sandboxes.move(id, 'provisioning')
        const enforcement = { memory: enforced, pids: enforced, disk: enforced, cpus: enforced }
        await sandboxes.setHandle(id, { handle: { pid: 7, born: '123' }, enforcement })
        expect(await sandboxes.move(id, 'running')).toMatchObject({ state: 'running', enforcement })
        expect(await sandboxes.handle(id)).toEqual({ pid: 7, born: '123' })
        await sandboxes.move(id, 'destroyed')
        await expect(sandboxes.move(id, 'running')).rejects.toMatchObject({ code: 'illegal_move' })
      })
    })

    describe('ledger', () => {
      it('numbers without gaps in the order of the calls, and reads the same back', async () => {
        const { id } = await runs.create(newRun())
        const parts = await Promise.all(
          upTo(0, 49).map((index) => ledger.append(id, [said(`${index}a`), said(`${index}b`)])),
        )
        const events = parts.flat()
        expect(seqs(events)).toEqual(upTo(2, 101))
        expect(events.map((event) => event.type === 'message.user' && event.data.text)).toEqual(
          upTo(0, 49).flatMap((index) => [`${index}a`, `${index}b`]),
        )
        expect(await ledger.read(id, { after: 1, limit: 1000 })).toEqual(events)
        expect(seqs(await ledger.read(id, { after: 50, limit: 3 }))).toEqual([51, 52, 53])
        expect((await runs.get(id)).lastSeq).toBe(101)
      })

      it('replaces what PostgreSQL cannot hold, for live and later readers alike', async () => {
        const { id } = await runs.create(newRun())
        const [event] = await ledger.append(id, [said('a\0b \ud83d c \u{1f600} \\u0000')])
        expect(event?.data).toEqual({ text: 'a␀b \ufffd c \u{1f600} \\u0000' })
        expect(await ledger.read(id, { after: 1, limit: 1 })).toEqual([event])
        const call: EventDraft = {
          actor: 'agent',
          type: 'tool.started',
          data: { call: 'c', turn: 1, name: 'x', input: { 'k\0': ['\udfff', 1e300, -0.5, null] } },
        }
        const [tool] = await ledger.append(id, [call])
        expect(tool?.data).toMatchObject({ input: { 'k␀': ['\ufffd', 1e300, -0.5, null] } })
        expect(await ledger.read(id, { after: 2, limit: 1 })).toEqual([tool])
      })

      it('refuses bad appends and stores their neighbours', async () => {
        const { id } = await runs.create(newRun())
        const nobody = RunId.parse('run_zzzzzzzzzz')
        let deep: unknown[] = []
        for (let depth = 0; depth < 3000; depth += 1) deep = [deep]
        const tool = (input: Record<string, unknown>): EventDraft => ({
          actor: 'agent',
          type: 'tool.started',
          data: { call: 'c', turn: 1, name: 'x', input },
        })
        const results = await Promise.allSettled([
          ledger.append(id, [said('one')]),
          ledger.append(nobody, [said('lost')]),
          ledger.append(id, [{ actor: 'agent', type: 'message.user', data: {} } as unknown as EventDraft]),
          ledger.append(id, [{ actor: 'nobody', type: 'message.user', data: { text: '' } }]),
          ledger.append(id, [said('x'.repeat(maxEventBytes))]),
          ledger.append(id, [
            said('two'),
            { actor: 'agent', type: 'nope', data: {} } as unknown as EventDraft,
          ]),
          ledger.append(id, [tool({ deep })]),
          ledger.append(id, [finished, said('after the end')]),
          ledger.append(id, [said('three')]),
        ])
        expect(
          results.map((result) => (result.status === 'rejected' ? result.reason.code : seqs(result.value))),
        ).toEqual([
          [2],
          'not_found',
          'internal',
          'internal',
          'too_large',
          'internal',
          expect.toSatisfy((value) => value === 'too_large' || Array.isArray(value)),
          'internal',
          expect.anything(),
        ])
        const stored = await ledger.read(id, { after: 1, limit: 10 })
        expect(stored.filter(({ type }) => type === 'message.user').map(({ data }) => data)).toEqual([
          { text: 'one' },
          { text: 'three' },
        ])
      })

      it('appends nothing after run.finished', async () => {
        const { id } = await runs.create(newRun())
        const results = await Promise.allSettled([
          ledger.append(id, [said('last words')]),
          ledger.append(id, [finished]),
          ledger.append(id, [said('too late')]),
        ])
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
        await expect(ledger.append(id, [finished])).rejects.toMatchObject({ code: 'conflict' })
        expect(seqs(await ledger.read(id, { after: 0, limit: 10 }))).toEqual([1, 2, 3])
      })

      it('follows: stored events, one caught-up, live ones, and the end', async () => {
        const { id } = await runs.create(newRun())
        await ledger.append(id, [said('a'), said('b')])
        const reading = collect(ledger.follow(id, 1, forever))
        await sleep(50)
        await ledger.append(id, [said('c')])
        await ledger.append(id, [finished])
        expect(await reading).toMatchObject({
          events: [{ seq: 2 }, { seq: 3 }, { seq: 4 }, { seq: 5 }],
          caughtUp: [3],
        })
        expect((await collect(ledger.follow(id, 0, forever))).caughtUp).toEqual([5])
        expect(await collect(ledger.follow(id, 5, forever))).toEqual({ events: [], caughtUp: [5] })
        const nobody = ledger.follow(RunId.parse('run_zzzzzzzzzz'), 0, forever)
        await expect(collect(nobody)).rejects.toMatchObject({ code: 'not_found' })
      })

      it('stops following on abort, before, while and after reading', async () => {
        const { id } = await runs.create(newRun())
        expect((await collect(ledger.follow(id, 0, AbortSignal.abort()))).events.length).toBeLessThanOrEqual(
          1,
        )
        const controller = new AbortController()
        const reading = collect(ledger.follow(id, 0, controller.signal))
        await sleep(50)
        controller.abort()
        expect(seqs((await reading).events)).toEqual([1])
      })

      it('hands a slow reader everything, though it was handed over far more than it may hold', async () => {
        const { id } = await runs.create(newRun())
        let read = 0
        const pause = async () => {
          read += 1
          if (read === 1) await held
        }
        let release = () => undefined as void
        const held = new Promise<void>((resolve) => {
          release = resolve
        })
        const reading = collect(ledger.follow(id, 0, forever), pause)
        await Promise.all(upTo(1, 2000).map((index) => ledger.append(id, [said(`${index}`)])))
        await ledger.append(id, [finished])
        release()
        expect(seqs((await reading).events)).toEqual(upTo(1, 2002))
      })

      it('shows the events of another process', async () => {
        const other = await opened.again()
        const foreign = postgresLedger({ store: other, clock })
        try {
          const { id } = await runs.create(newRun())
          const reading = collect(ledger.follow(id, 0, forever))
          await sleep(50)
          const both = upTo(1, 100).map((index) =>
            (index % 2 === 0 ? ledger : foreign).append(id, [said(`${index}`)]),
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
        const ids = await Promise.all(upTo(1, 6).map(async () => (await runs.create(newRun())).id))
        const followers: Promise<void>[] = []
        const watch = async (id: RunId, after: number) => {
          const { events, caughtUp } = await collect(ledger.follow(id, after, forever), () =>
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
              ledger.append(id, drafts).then((events) => {
                last = events.at(-1)?.seq ?? last
              }),
            )
            if (randomInt(3) === 0) await sleep(randomInt(3))
          }
          await Promise.all(pending)
          await ledger.append(id, [finished])
        }
        await Promise.all(ids.map(write))
        await Promise.all(followers)
      })

      it('goes on after its connections were cut, with nothing lost or doubled', {
        timeout: 60_000,
      }, async () => {
        const { id } = await runs.create(newRun())
        const reading = collect(ledger.follow(id, 0, forever))
        let over = false
        const cutting = (async () => {
          while (!over) {
            await store.sql`
              SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE (application_name LIKE 'forge ledger %' OR application_name LIKE 'forge listener %')
                AND datname = current_database()`
            await sleep(20)
          }
        })()
        const results: Event[][] = []
        for (let round = 0; round < 40; round += 1)
          results.push(
            ...(await Promise.all(upTo(1, 5).map((index) => ledger.append(id, [said(`${round}.${index}`)])))),
          )
        over = true
        await cutting
        await ledger.append(id, [finished])
        expect(seqs(results.flat())).toEqual(upTo(2, 201))
        expect(seqs((await reading).events)).toEqual(upTo(1, 202))
      })
    })
  })
}
