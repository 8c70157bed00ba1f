import { ForgeError } from '#core/errors.ts'
import type { ModelUsage } from '#core/model/message.ts'
import { addTokens, noTokens, type RunLimits, type Tokens } from '#core/run/run.ts'

/** What one run has used, by the agent loop and by programs in its sandbox together. */
export class Meter {
  #tokens: Tokens = noTokens
  #cost = 0
  #priced = true
  readonly #limits: Pick<RunLimits, 'maxCost' | 'maxTokens'>

  constructor(limits: Pick<RunLimits, 'maxCost' | 'maxTokens'>) {
    this.#limits = limits
  }

  get tokens(): Tokens {
    return this.#tokens
  }

  /** US dollars; null as soon as one request's price was not known. */
  get cost(): number | null {
    return this.#priced ? this.#cost : null
  }

  record(usage: ModelUsage): void {
    this.#tokens = addTokens(this.#tokens, usage.tokens)
    if (usage.cost === null) this.#priced = false
    else this.#cost += usage.cost
  }

  /** Call before each request. Throws `budget_spent` at or above a limit. */
  assertWithin(): void {
    const { maxCost, maxTokens } = this.#limits
    const used = this.#tokens.input + this.#tokens.output + this.#tokens.cacheRead + this.#tokens.cacheWrite
    if (maxCost !== undefined && this.#cost >= maxCost)
      throw new ForgeError('budget_spent', `spent $${this.#cost.toFixed(4)} of $${maxCost}`, {
        hint: 'raise it with --max-cost',
      })
    if (maxTokens !== undefined && used >= maxTokens)
      throw new ForgeError('budget_spent', `used ${used} of ${maxTokens} tokens`, {
        hint: 'raise it with --max-tokens',
      })
  }
}
