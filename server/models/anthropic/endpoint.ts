import type { ProviderSetup } from '../setup.ts'

export const anthropicBaseUrl = 'https://api.anthropic.com'

/**
 * The SDK sends the key as a bearer token. Servers of others that speak this API often know only the older
 * `x-api-key`, so they get both.
 */
export const anthropicKeyHeaders = (
  setup: Pick<ProviderSetup, 'apiKey' | 'baseUrl'>,
): Record<string, string> => {
  if (!setup.apiKey) return {}
  const bearer = { authorization: `Bearer ${setup.apiKey}` }
  return new URL(setup.baseUrl).host === new URL(anthropicBaseUrl).host
    ? bearer
    : { ...bearer, 'x-api-key': setup.apiKey }
}
