import { expect, test, vi } from 'vitest'
import { Deltas } from './deltas.ts'

const collect = () => {
  const sent: string[] = []
  const deltas = new Deltas(async (kind, text) => {
    sent.push(`${kind}:${text}`)
  })
  return { sent, deltas }
}

test('puts small pieces together for 50 ms', async () => {
  vi.useFakeTimers()
  try {
    const { sent, deltas } = collect()
    await deltas.push('text', 'a')
    await deltas.push('text', 'b')
    await vi.advanceTimersByTimeAsync(49)
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent).toEqual(['text:ab'])
    await deltas.push('text', 'c')
    await deltas.end()
    expect(sent).toEqual(['text:ab', 'text:c'])
  } finally {
    vi.useRealTimers()
  }
})

test('sends at once what is large, and what came before another kind', async () => {
  const { sent, deltas } = collect()
  await deltas.push('thinking', 'hm')
  await deltas.push('text', 'x'.repeat(4096))
  expect(sent).toEqual(['thinking:hm', `text:${'x'.repeat(4096)}`])
  await deltas.end()
  expect(sent).toHaveLength(2)
})

test('keeps a character together that two pieces share, and gives no half ones', async () => {
  const { sent, deltas } = collect()
  await deltas.push('text', `${'x'.repeat(4095)}\ud83d`)
  await deltas.push('text', '\ude00')
  await deltas.end()
  expect(sent).toEqual([`text:${'x'.repeat(4095)}`, 'text:😀'])
  await deltas.push('text', 'y\ud83d')
  await deltas.end()
  expect(sent.at(-1)).toBe('text:y\ufffd')
})

test('a failure comes out of the next call, and nothing is sent after it', async () => {
  let calls = 0
  const deltas = new Deltas(async () => {
    calls += 1
    throw new Error('full')
  })
  await deltas.push('text', 'a')
  await expect(deltas.end()).rejects.toThrow('full')
  await expect(deltas.push('text', 'b')).rejects.toThrow('full')
  await expect(deltas.end()).rejects.toThrow('full')
  expect(calls).toBe(1)
})
