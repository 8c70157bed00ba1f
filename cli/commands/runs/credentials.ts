import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import type { ModelCredentials } from '#core/run/run.ts'

/** The model credentials of the user's environment, for this one run; undefined when there are none. */
export function credentialsFrom(
  env: Readonly<Record<string, string | undefined>>,
): ModelCredentials | undefined {
  const one = (key: string, url: string) => {
    const apiKey = env[key] || undefined
    const baseUrl = env[url] || undefined
    if (baseUrl !== undefined && !z.url().safeParse(baseUrl).success)
      throw new ForgeError('config_invalid', `${url} is not a URL`)
    return apiKey || baseUrl ? { ...(apiKey ? { apiKey } : {}), ...(baseUrl ? { baseUrl } : {}) } : undefined
  }
  const anthropic = one('ANTHROPIC_API_KEY', 'ANTHROPIC_BASE_URL')
  const openai = one('OPENAI_API_KEY', 'OPENAI_BASE_URL')
  if (!anthropic && !openai) return undefined
  return { ...(anthropic ? { anthropic } : {}), ...(openai ? { openai } : {}) }
}
