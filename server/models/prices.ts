import { ForgeError } from '#core/errors.ts'
import type { Tokens } from '#core/run/run.ts'

/** US dollars per million tokens. */
interface Price {
  readonly input: number
  readonly output: number
  /** Absent: a tenth of `input`. */
  readonly cacheRead?: number | undefined
  /** Absent: 1.25 times `input`. */
  readonly cacheWrite?: number | undefined
  /** Prompts above that many tokens cost this many times as much. */
  readonly long?: { readonly above: number; readonly input: number; readonly output: number }
}

export type PriceTable = Readonly<Record<string, Price>>

const price = (input: number, output: number, more: Omit<Price, 'input' | 'output'> = {}): Price => ({
  input,
  output,
  ...more,
})

/** GPT-6 prompts above 272,000 tokens: https://developers.openai.com/api/docs/pricing */
const gpt6Long = { above: 272_000, input: 2, output: 1.5 }
/** OpenAI bills cache writes as plain input before GPT-6. */
const openai = (input: number, cacheRead: number, output: number): Price =>
  price(input, output, { cacheRead, cacheWrite: input })

/**
 * Published list prices: https://platform.claude.com/docs/en/about-claude/pricing and
 * https://developers.openai.com/api/docs/pricing. A model whose price is not certain is left out: its cost
 * is then unknown rather than wrong. Where two published rates differ, the higher one stands.
 */
export const builtInPrices: PriceTable = {
  'claude-fable-5': price(10, 50),
  'claude-mythos-5': price(10, 50),
  'claude-opus-5-5': price(4, 20, { cacheRead: 0.2 }),
  'claude-opus-5': price(5, 25),
  'claude-opus-4-8': price(5, 25),
  'claude-opus-4-7': price(5, 25),
  'claude-opus-4-6': price(5, 25),
  'claude-opus-4-5': price(5, 25),
  'claude-sonnet-5-5': price(2, 10),
  'claude-sonnet-5': price(2, 10),
  'claude-sonnet-4-6': price(3, 15),
  'claude-sonnet-4-5': price(3, 15),
  'claude-haiku-4-5': price(1, 5),
  'gpt-6.1-sol': price(2, 10, { cacheRead: 0.1, long: gpt6Long }),
  'gpt-6-sol': price(2, 10, { long: gpt6Long }),
  'gpt-6-luna': price(0.1, 0.5, { long: gpt6Long }),
  'gpt-5.4': openai(2.5, 0.25, 15),
  'gpt-5.4-mini': openai(0.75, 0.075, 4.5),
  'gpt-5.2': openai(1.75, 0.175, 14),
  'gpt-5.1': openai(1.25, 0.125, 10),
  'gpt-5.1-codex': openai(1.25, 0.125, 10),
  'gpt-5': openai(1.25, 0.125, 10),
  'gpt-5-mini': openai(0.25, 0.025, 2),
  'gpt-5-nano': openai(0.05, 0.005, 0.4),
  'gpt-4.1': openai(2, 0.5, 8),
  'gpt-4.1-mini': openai(0.4, 0.1, 1.6),
  'gpt-4.1-nano': openai(0.1, 0.025, 0.4),
  'gpt-4o': openai(2.5, 1.25, 10),
  'gpt-4o-mini': openai(0.15, 0.075, 0.6),
  o3: openai(2, 0.5, 8),
  'o4-mini': openai(1.1, 0.275, 4.4),
}

/** Snapshots cost what their family costs: `claude-opus-4-5-20251101`, `gpt-5-2025-08-07`. */
const withoutDate = (model: string): string => model.replace(/-(\d{8}|\d{4}-\d{2}-\d{2})$/, '')

/** `configured` is `model.prices`, which wins. */
export const priceTable = (configured: PriceTable): PriceTable => ({ ...builtInPrices, ...configured })

const own = (table: PriceTable, name: string): Price | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

export const priceOf = (model: string, table: PriceTable): Price | undefined =>
  own(table, model) ?? own(table, withoutDate(model))

/** US dollars; null when the table has no price for the model. */
export function costOf(model: string, tokens: Tokens, table: PriceTable): number | null {
  const found = priceOf(model, table)
  if (!found) return null
  const { input, output, cacheRead = input * 0.1, cacheWrite = input * 1.25, long } = found
  const prompt = tokens.input + tokens.cacheRead + tokens.cacheWrite
  const times = long && prompt > long.above ? long : { input: 1, output: 1 }
  const read = tokens.input * input + tokens.cacheRead * cacheRead + tokens.cacheWrite * cacheWrite
  return (read * times.input + tokens.output * output * times.output) / 1_000_000
}

/**
 * `id` is `FAMILY/NAME`. Throws `invalid_input` for a model without a known price: a limit on its cost could
 * not be held. The demonstration costs nothing.
 */
export function assertPriced(id: string, table: PriceTable): void {
  const name = id.slice(id.indexOf('/') + 1)
  if (id.startsWith('demo/') || priceOf(name, table)) return
  throw new ForgeError('invalid_input', `the price of ${name} is not known, so its cost cannot be limited`, {
    hint: `tell the price in US dollars per million tokens: forge config set model.prices '{"${name}":{"input":3,"output":15}}', or take --max-tokens`,
  })
}
