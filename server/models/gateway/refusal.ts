import type { ServerResponse } from 'node:http'
import type { Family } from './routes.ts'

/** What the gateway itself answers, in the words of the API that was asked. */
export interface Refusal {
  readonly status: number
  readonly message: string
}

const anthropicTypes: Record<number, string> = {
  400: 'invalid_request_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  413: 'request_too_large',
  415: 'invalid_request_error',
  429: 'rate_limit_error',
}

const openaiTypes: Record<number, string> = {
  402: 'insufficient_quota',
  429: 'rate_limit_exceeded',
  502: 'server_error',
  503: 'server_error',
}

function refusalBody(family: Family, { status, message }: Refusal): Record<string, unknown> {
  if (family === 'anthropic')
    return { type: 'error', error: { type: anthropicTypes[status] ?? 'api_error', message } }
  const type = openaiTypes[status] ?? 'invalid_request_error'
  return { error: { message, type, param: null, code: type } }
}

export function refuse(response: ServerResponse, family: Family, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(refusal.status, {
    'content-type': 'application/json',
    // The SDKs try again after some of these statuses; what the gateway refuses stays refused.
    'x-should-retry': refusal.status === 429 ? 'true' : 'false',
    ...(refusal.status === 413 ? { connection: 'close' } : {}),
  })
  response.end(JSON.stringify(refusalBody(family, refusal)))
}
