const types: Record<number, { type: string; code: string | null }> = {
  400: { type: 'invalid_request_error', code: null },
  401: { type: 'invalid_request_error', code: 'invalid_api_key' },
  402: { type: 'insufficient_quota', code: 'billing_hard_limit_reached' },
  404: { type: 'invalid_request_error', code: 'not_found' },
  429: { type: 'requests', code: 'rate_limit_exceeded' },
}

export function openaiErrorBody(status: number, message: string, type?: string): Record<string, unknown> {
  const known = types[status] ?? { type: status < 500 ? 'invalid_request_error' : 'server_error', code: null }
  return { error: { message, type: type ?? known.type, param: null, code: type ?? known.code } }
}
