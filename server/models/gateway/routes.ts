import type { IncomingHttpHeaders } from 'node:http'
import type { EventData } from '#core/event/event.ts'

export type Family = 'anthropic' | 'openai'
export type ProxiedApi = EventData<'model.proxied'>['api']

export interface Route {
  readonly family: Family
  readonly method: 'GET' | 'POST'
  /** Behind the family's base URL. */
  readonly path: string
  /** Null for what uses no tokens: it is neither metered nor recorded. */
  readonly api: ProxiedApi | null
}

const posts: Record<string, Route> = {
  '/v1/messages': {
    family: 'anthropic',
    method: 'POST',
    path: '/v1/messages',
    api: 'anthropic.messages',
  },
  '/v1/messages/count_tokens': {
    family: 'anthropic',
    method: 'POST',
    path: '/v1/messages/count_tokens',
    api: null,
  },
  '/v1/chat/completions': {
    family: 'openai',
    method: 'POST',
    path: '/chat/completions',
    api: 'openai.chat',
  },
  '/v1/responses': { family: 'openai', method: 'POST', path: '/responses', api: 'openai.responses' },
}

const modelPath = /^\/v1(\/models(?:\/[A-Za-z0-9][A-Za-z0-9._:@-]{0,199})?)$/

interface Asked {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Without the query. Compared as it came: nothing is decoded or normalised, so nothing can be hidden in it. */
const pathOf = (url: string | undefined): string => url?.split('?', 1)[0] ?? '/'

/** In whose words an error is put. */
export const familyOf = ({ url, headers }: Asked): Family =>
  'anthropic-version' in headers || pathOf(url).startsWith('/v1/messages') ? 'anthropic' : 'openai'

/** The way for a request, or the status that refuses it. */
export function routeOf(asked: Asked): Route | 404 | 405 {
  const path = pathOf(asked.url)
  const post = Object.hasOwn(posts, path) ? posts[path] : undefined
  if (post) return asked.method === 'POST' ? post : 405
  const models = modelPath.exec(path)?.[1]
  if (models === undefined) return 404
  if (asked.method !== 'GET') return 405
  const family = familyOf(asked)
  return { family, method: 'GET', path: family === 'anthropic' ? `/v1${models}` : models, api: null }
}

/** The one query parameter that clients send and that means something. */
export const queryOf = (url: string | undefined): string =>
  /[?&]beta=true(&|$)/.test(url ?? '') ? '?beta=true' : ''
