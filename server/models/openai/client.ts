import OpenAI from 'openai'
import type { ProviderSetup } from '../setup.ts'

export function clientOf({ apiKey, baseUrl, upstream }: Omit<ProviderSetup, 'prices' | 'retry'>): OpenAI {
  return new OpenAI({
    // What is not given here the SDK would take from the environment.
    apiKey: apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: baseUrl,
    maxRetries: 0,
    // The upstream has an idle limit; a whole answer may take long.
    timeout: 24 * 3_600_000,
    logLevel: 'off',
    fetch: upstream.fetch,
    ...(apiKey ? {} : { defaultHeaders: { authorization: null } }),
  })
}
