import { describe, expect, it } from 'vitest'
import type { Event } from '#core/event/event.ts'
import { RunId } from '#core/id.ts'
import { Follower } from './follower.ts'

const run = RunId.parse('run_0000000000')
const event = (seq: number): Event => ({
  run,
  seq,
  at: '2000-01-01T00:00:00.000Z',
  actor: 'user:test',
  type: 'message.user',
  data: { text: '' },
})
const push = (follower: Follower, from: number, to: number, bytes = 10) => {
  for (let seq = from; seq <= to; seq += 1) follower.push([event(seq)], bytes)
}
const seqs = (events: Event[]) => events.map(({ seq }) => seq)

describe('Follower', () => {
  it('hands over what directly follows the cursor', () => {
    const follower = new Follower()
    expect(follower.mustRead(0)).toBe(false)
    push(follower, 1, 3)
    expect(seqs(follower.take(1))).toEqual([2, 3])
    expect(follower.mustRead(3)).toBe(false)
  })

  it('sends the reader to the store for a gap, and for what it cannot hold', () => {
    const gap = new Follower()
    gap.mustRead(0)
    push(gap, 2, 3)
    expect(gap.take(0)).toEqual([])
    expect(gap.mustRead(0)).toBe(true)

    for (const bytes of [10, 100_000]) {
      const slow = new Follower()
      slow.mustRead(0)
      push(slow, 1, 10_000, bytes)
      expect(slow.take(0).length).toBeLessThanOrEqual(256)
      expect(slow.mustRead(0)).toBe(true)
      push(slow, 10_001, 10_002)
      expect(slow.mustRead(10_002)).toBe(false)
    }
  })

  it('asks the store once when notices may have been missed, or another process wrote', () => {
    const follower = new Follower()
    follower.mustRead(5)
    follower.recheck()
    expect([follower.mustRead(5), follower.mustRead(5)]).toEqual([true, false])
    follower.hint(6)
    expect([follower.mustRead(5), follower.mustRead(6)]).toEqual([true, false])
  })

  it('wakes for news and for abort', async () => {
    const follower = new Follower()
    const controller = new AbortController()
    const news = follower.news(controller.signal)
    follower.hint(1)
    await news
    const aborted = follower.news(controller.signal)
    controller.abort()
    await aborted
    await follower.news(controller.signal)
  })
})
