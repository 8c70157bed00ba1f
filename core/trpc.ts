import { initTRPC, TRPCError } from '@trpc/server'
import type { ConfigService } from './config/service.ts'
import { type ErrorShape, ForgeError } from './errors.ts'
import type { RunService } from './run/service.ts'
import type { SandboxService } from './sandbox/service.ts'
import type { ServerService } from './server/service.ts'

/** What a procedure may use: the caller and one service for each slice of the router. */
export interface Context {
  /** `user:NAME`, as the ledger records it. */
  readonly actor: string
  readonly config: ConfigService
  readonly runs: RunService
  readonly sandboxes: SandboxService
  readonly server: ServerService
}

const httpToTrpc: Record<number, TRPCError['code']> = {
  400: 'BAD_REQUEST',
  402: 'PRECONDITION_FAILED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  422: 'UNPROCESSABLE_CONTENT',
  499: 'CLIENT_CLOSED_REQUEST',
  503: 'SERVICE_UNAVAILABLE',
  504: 'TIMEOUT',
}

const isZodError = (
  cause: unknown,
): cause is Error & { issues: { path: PropertyKey[]; message: string }[] } =>
  cause instanceof Error && cause.name === '$ZodError'
    ? true
    : cause instanceof Error && cause.name === 'ZodError'

/** The error as it crosses the wire, from whatever a procedure threw. */
function shapeOf(error: TRPCError): ErrorShape {
  if (isZodError(error.cause)) {
    const [first] = error.cause.issues
    const where = first?.path.map(String).join('.') || 'the input'
    return { code: 'invalid_input', message: `${where}: ${first?.message ?? 'is not valid'}` }
  }
  if (error.code === 'NOT_FOUND' && error.cause === undefined)
    return { code: 'not_found', message: error.message }
  if (error.code === 'BAD_REQUEST' || error.code === 'PARSE_ERROR')
    return { code: 'invalid_input', message: error.message }
  return ForgeError.from(error.cause ?? error).toShape()
}

const t = initTRPC.context<Context>().create({
  errorFormatter: ({ shape, error }) => ({ ...shape, data: { ...shape.data, forge: shapeOf(error) } }),
})

/** Gives a ForgeError the HTTP status of its row; tRPC would answer 500. */
const typedErrors = t.middleware(async ({ next }) => {
  const result = await next()
  if (!result.ok && result.error.cause instanceof ForgeError) {
    const code = httpToTrpc[result.error.cause.row.http] ?? 'INTERNAL_SERVER_ERROR'
    throw new TRPCError({ code, message: result.error.cause.message, cause: result.error.cause })
  }
  return result
})

export const router = t.router
export const procedure = t.procedure.use(typedErrors)
