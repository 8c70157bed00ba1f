import { z } from 'zod'
import { ErrorShape, ForgeError } from '#core/errors.ts'

const TrpcError = z.object({ error: z.object({ data: z.object({ forge: ErrorShape }) }) })
/** RFC 9457, with the error's own shape as an extension member. */
const Problem = z.object({ forge: ErrorShape })
const TrpcResult = z.object({ result: z.object({ data: z.unknown().optional() }) })

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What a non-2xx answer means. */
export function errorFromBody(status: number, body: string): ForgeError {
  const parsed = parseJson(body)
  const trpc = TrpcError.safeParse(parsed)
  if (trpc.success) return ForgeError.fromShape(trpc.data.error.data.forge)
  const problem = Problem.safeParse(parsed)
  if (problem.success) return ForgeError.fromShape(problem.data.forge)
  return new ForgeError('internal', `the server answered ${status}: ${body.slice(0, 300)}`)
}

/** The `data` of a tRPC answer; undefined for a procedure that gives nothing. */
export function trpcData(body: string): unknown {
  const result = TrpcResult.safeParse(parseJson(body))
  if (!result.success) throw new ForgeError('internal', `not a tRPC answer: ${body.slice(0, 300)}`)
  return result.data.result.data
}
