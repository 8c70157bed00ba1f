import type { IncomingMessage } from 'node:http'
import { reachesOut, withClientTools } from './reach.ts'
import type { Refusal } from './refusal.ts'
import type { Route } from './routes.ts'

export interface ModelBody {
  readonly model: string
  readonly stream: boolean
  /** What goes upstream. */
  readonly bytes: Buffer
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const tooLarge = (limit: number): Refusal => ({
  status: 413,
  message: `the request is larger than ${Math.floor(limit / 1024 / 1024)} MiB`,
})

async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer | Refusal> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return tooLarge(limit)
  const chunks: Buffer[] = []
  let total = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    total += chunk.length
    if (total > limit) return tooLarge(limit)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const invalid = (message: string): Refusal => ({ status: 400, message })

/** Dearer service, or another model than the one that is named: the meter could not price it. */
const unpriced = [
  'service_tier',
  'speed',
  'fallbacks',
  'fallback_credit_token',
  'billing_policy',
  'inference_geo',
]

const withoutUnpriced = (body: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !unpriced.includes(name)))

/** Without the last chunk's usage a chat stream could not be metered, so it is asked for. */
function withUsage(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options = isRecord(body.stream_options) ? body.stream_options : {}
  return { ...body, stream_options: { ...options, include_usage: true } }
}

/**
 * Reads, checks and rewrites a request's body. What goes upstream is written anew from what was checked, so
 * that the upstream cannot read something else into the same bytes.
 */
export async function readBody(
  request: IncomingMessage,
  route: Route,
  limit: number,
): Promise<ModelBody | Refusal> {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    return { status: 415, message: `content-encoding ${encoding} is not supported` }
  const bytes = await readBytes(request, limit)
  if (!Buffer.isBuffer(bytes)) return bytes
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch {
    return invalid('the request is not valid JSON')
  }
  if (!isRecord(body)) return invalid('the request is no JSON object')
  if (typeof body.model !== 'string' || body.model.length > 200) return invalid('model is missing')
  const reason = reachesOut(route.family, body)
  if (reason !== null)
    return {
      status: 403,
      message: `${reason}: a sandbox may not make the model API open connections (egress policy)`,
    }
  const stream = body.stream === true
  const allowed = withClientTools(route.family, withoutUnpriced(body))
  const sent = route.api === 'openai.chat' && stream ? withUsage(allowed) : allowed
  return { model: body.model, stream, bytes: Buffer.from(JSON.stringify(sent)) }
}
