import { describe, expect, it } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { instantRetries } from './conformance/collect.ts'
import type { ModelChunk } from './provider.ts'
import { defaultRetryPolicy, delayBefore, withRetries } from './retry.ts'

const policy = (random: number) => ({ ...defaultRetryPolicy, random: () => random })
const context = { baseUrl: 'http://models.example', keyVariable: 'KEY', secrets: [], now: () => 0 }

describe('the wait before another attempt', () => {
  it('doubles, is half jitter, and has an upper end', () => {
    const waits = (random: number) =>
      [1, 2, 3, 10].map((attempt) => delayBefore(attempt, null, policy(random)))
    expect(waits(0)).toEqual([250, 500, 1000, 8000])
    expect(waits(1)).toEqual([500, 1000, 2000, 16_000])
  })

  it('is what the API asks for, if that is longer and not absurd', () => {
    expect(delayBefore(1, 5000, policy(0))).toBe(5000)
    expect(delayBefore(1, 1, policy(0))).toBe(250)
    expect(delayBefore(1, 3_600_000, policy(0))).toBe(60_000)
  })
})

describe('trying again', () => {
  const fail = (thrown: unknown, attempts = 6) => {
    let tried = 0
    const chunks = withRetries({
      attempt: () => {
        tried++
        throw thrown
      },
      policy: instantRetries([], attempts),
      context,
      signal: new AbortController().signal,
    })
    const drained = (async () => {
      const seen: ModelChunk[] = []
      for await (const chunk of chunks) seen.push(chunk)
      return seen
    })()
    return { drained, tried: () => tried }
  }

  it('ends sooner where nobody is there than where a connection broke', async () => {
    const refused = fail(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))
    await expect(refused.drained).rejects.toMatchObject({ code: 'model_unavailable' })
    expect(refused.tried()).toBe(4)
    const reset = fail(Object.assign(new Error('read'), { code: 'ECONNRESET' }))
    await expect(reset.drained).rejects.toMatchObject({ code: 'model_unavailable' })
    expect(reset.tried()).toBe(6)
  })

  it('does not hide a bug behind attempts', async () => {
    const bug = fail(new TypeError('x is not a function'))
    await expect(bug.drained).rejects.toMatchObject({ code: 'internal' })
    expect(bug.tried()).toBe(1)
    const rejected = fail(new ForgeError('model_rejected', 'no'))
    await expect(rejected.drained).rejects.toMatchObject({ message: 'no' })
    expect(rejected.tried()).toBe(1)
  })
})
