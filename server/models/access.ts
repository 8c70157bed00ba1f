import type { Config } from '#core/config/config.ts'
import type { ModelCredentials } from '#core/run/run.ts'
import { anthropicBaseUrl } from './anthropic/endpoint.ts'
import { openaiBaseUrl } from './openai/endpoint.ts'

/** One family of APIs, as a run may use it. */
export interface FamilyAccess {
  /** Absent: the endpoint wants no key. */
  readonly apiKey: string | undefined
  readonly baseUrl: string
}

/** Null: neither a key nor a base URL is known. */
export interface ModelAccess {
  readonly anthropic: FamilyAccess | null
  readonly openai: FamilyAccess | null
}

type Given = { apiKey?: string | undefined; baseUrl?: string | undefined } | undefined

const isGiven = (given: Given): boolean => Boolean(given?.apiKey || given?.baseUrl)

/** A key given with the run may go to the server's base URL; the server's key never goes to a URL given with a run. */
function familyAccess(given: Given, configured: Given, standardUrl: string): FamilyAccess | null {
  const [apiKey, baseUrl] = isGiven(given)
    ? [given?.apiKey, given?.baseUrl ?? configured?.baseUrl]
    : [configured?.apiKey, configured?.baseUrl]
  if (!apiKey && !baseUrl) return null
  return { apiKey: apiKey || undefined, baseUrl: baseUrl ?? standardUrl }
}

/** `credentials` came with the run and win over the server's own. */
export function modelAccess(config: Config['model'], credentials?: ModelCredentials): ModelAccess {
  return {
    anthropic: familyAccess(credentials?.anthropic, config.anthropic, anthropicBaseUrl),
    openai: familyAccess(credentials?.openai, config.openai, openaiBaseUrl),
  }
}
