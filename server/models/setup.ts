import type { PriceTable } from './prices.ts'
import type { RetryPolicy } from './retry.ts'
import type { Upstream } from './upstream.ts'

/** What every real provider is made from. */
export interface ProviderSetup {
  /** The API's own name of the model. */
  readonly model: string
  /** Absent where the endpoint wants none. */
  readonly apiKey: string | undefined
  readonly baseUrl: string
  readonly prices: PriceTable
  readonly upstream: Upstream
  readonly retry: RetryPolicy
  /** Milliseconds since the epoch. */
  readonly now: () => number
}
