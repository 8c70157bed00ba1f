import { describe, expect, it } from 'vitest'
import { assertPriced, builtInPrices, costOf, priceTable } from './prices.ts'

const tokens = { input: 1_000_000, output: 1_000_000, cacheRead: 0, cacheWrite: 0 }

describe('prices', () => {
  it('multiplies tokens by the price, with the usual rates for the cache', () => {
    expect(costOf('claude-haiku-4-5', tokens, builtInPrices)).toBeCloseTo(6)
    const cached = { input: 0, output: 0, cacheRead: 1_000_000, cacheWrite: 1_000_000 }
    expect(costOf('claude-haiku-4-5', cached, builtInPrices)).toBeCloseTo(0.1 + 1.25)
  })

  it('takes a snapshot for its family, and nothing for anything else', () => {
    expect(costOf('claude-opus-4-5-20251101', tokens, builtInPrices)).toBeCloseTo(30)
    expect(costOf('gpt-5-2025-08-07', tokens, builtInPrices)).toBeCloseTo(11.25)
    for (const unknown of ['llama', 'gpt-5-unheard-of', '', 'constructor', '__proto__'])
      expect(costOf(unknown, tokens, builtInPrices)).toBeNull()
  })

  it('charges long prompts more where the API does', () => {
    const half = { input: 200_000, output: 0, cacheRead: 72_000, cacheWrite: 0 }
    const below = costOf('gpt-6-sol', half, builtInPrices)
    const above = costOf('gpt-6-sol', { ...half, cacheRead: 72_001 }, builtInPrices)
    expect(below).toBeCloseTo(0.4144)
    expect(above).toBeCloseTo(0.8288, 4)
  })

  it('lets the configuration win', () => {
    const table = priceTable({ 'claude-haiku-4-5': { input: 2, output: 0 }, mine: { input: 1, output: 1 } })
    expect(costOf('claude-haiku-4-5', tokens, table)).toBeCloseTo(2)
    expect(costOf('mine', tokens, table)).toBeCloseTo(2)
  })
})

describe('assertPriced', () => {
  it('refuses a cost limit for a model whose price nobody knows', () => {
    expect(() => assertPriced('openai/local', priceTable({}))).toThrow(/not known/)
    expect(() => assertPriced('openai/local', priceTable({ local: { input: 0, output: 0 } }))).not.toThrow()
    expect(() => assertPriced('demo/scripted', priceTable({}))).not.toThrow()
  })
})
