import { describe, expect, it } from 'vitest'
import type { EventDraft } from '#core/event/event.ts'
import { RunId } from '#core/id.ts'
import { maxEventBytes } from '../../ledger/encode.ts'
import { finished, newRun, type Subject, said, seqs, upTo } from './fixtures.ts'

/** Appending and reading. */
export function describeLedger(subject: () => Subject): void {
  describe('ledger', () => {
    it('numbers without gaps in the order of the calls, and reads the same back', async () => {
      const { id } = await subject().runs.create(newRun())
      const parts = await Promise.all(
        upTo(0, 49).map((index) => subject().ledger.append(id, [said(`${index}a`), said(`${index}b`)])),
      )
      const events = parts.flat()
      expect(seqs(events)).toEqual(upTo(2, 101))
      expect(events.map((event) => event.type === 'message.user' && event.data.text)).toEqual(
        upTo(0, 49).flatMap((index) => [`${index}a`, `${index}b`]),
      )
      expect(await subject().ledger.read(id, { after: 1, limit: 1000 })).toEqual(events)
      expect(seqs(await subject().ledger.read(id, { after: 50, limit: 3 }))).toEqual([51, 52, 53])
      expect((await subject().runs.get(id)).lastSeq).toBe(101)
    })

    it('replaces what PostgreSQL cannot hold, for live and later readers alike', async () => {
      const { id } = await subject().runs.create(newRun())
      const [event] = await subject().ledger.append(id, [said('a\0b \ud83d c \u{1f600} \\u0000')])
      expect(event?.data).toEqual({ text: 'a␀b \ufffd c \u{1f600} \\u0000' })
      expect(await subject().ledger.read(id, { after: 1, limit: 1 })).toEqual([event])
      const call: EventDraft = {
        actor: 'agent',
        type: 'tool.started',
        data: { call: 'c', turn: 1, name: 'x', input: { 'k\0': ['\udfff', 1e300, -0.5, null] } },
      }
      const [tool] = await subject().ledger.append(id, [call])
      expect(tool?.data).toMatchObject({ input: { 'k␀': ['\ufffd', 1e300, -0.5, null] } })
      expect(await subject().ledger.read(id, { after: 2, limit: 1 })).toEqual([tool])
    })

    it('refuses bad appends and stores their neighbours', async () => {
      const { id } = await subject().runs.create(newRun())
      const nobody = RunId.parse('run_zzzzzzzzzz')
      let deep: unknown[] = []
      for (let depth = 0; depth < 3000; depth += 1) deep = [deep]
      const tool = (input: Record<string, unknown>): EventDraft => ({
        actor: 'agent',
        type: 'tool.started',
        data: { call: 'c', turn: 1, name: 'x', input },
      })
      const results = await Promise.allSettled([
        subject().ledger.append(id, [said('one')]),
        subject().ledger.append(nobody, [said('lost')]),
        subject().ledger.append(id, [
          { actor: 'agent', type: 'message.user', data: {} } as unknown as EventDraft,
        ]),
        subject().ledger.append(id, [{ actor: 'nobody', type: 'message.user', data: { text: '' } }]),
        subject().ledger.append(id, [said('x'.repeat(maxEventBytes))]),
        subject().ledger.append(id, [
          said('two'),
          { actor: 'agent', type: 'nope', data: {} } as unknown as EventDraft,
        ]),
        subject().ledger.append(id, [tool({ deep })]),
        subject().ledger.append(id, [finished, said('after the end')]),
        subject().ledger.append(id, [said('three')]),
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
      const stored = await subject().ledger.read(id, { after: 1, limit: 10 })
      expect(stored.filter(({ type }) => type === 'message.user').map(({ data }) => data)).toEqual([
        { text: 'one' },
        { text: 'three' },
      ])
    })

    it('appends nothing after run.finished', async () => {
      const { id } = await subject().runs.create(newRun())
      const results = await Promise.allSettled([
        subject().ledger.append(id, [said('last words')]),
        subject().ledger.append(id, [finished]),
        subject().ledger.append(id, [said('too late')]),
      ])
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
      await expect(subject().ledger.append(id, [finished])).rejects.toMatchObject({ code: 'conflict' })
      expect(seqs(await subject().ledger.read(id, { after: 0, limit: 10 }))).toEqual([1, 2, 3])
    })
  })
}
