import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server'
import type { AppRouter } from '#core/router.ts'
import { trpcData } from './answer.ts'
import type { Http } from './http.ts'

type Inputs = inferRouterInputs<AppRouter>
type Outputs = inferRouterOutputs<AppRouter>

/** `runs.create`, `sandboxes.list` … */
type ProcedurePath = {
  [N in keyof Inputs & string]: `${N}.${keyof Inputs[N] & string}`
}[keyof Inputs & string]

type At<T, P extends string> = P extends `${infer N}.${infer V}`
  ? N extends keyof T
    ? V extends keyof T[N]
      ? T[N][V]
      : never
    : never
  : never

type InputOf<P extends ProcedurePath> = At<Inputs, P>
type OutputOf<P extends ProcedurePath> = At<Outputs, P>

/** tRPC sends these by POST; all others are queries. */
const mutations: ReadonlySet<ProcedurePath> = new Set<ProcedurePath>([
  'runs.create',
  'runs.cancel',
  'sandboxes.create',
  'sandboxes.destroy',
  'server.stop',
  'config.set',
  'config.unset',
])

/** The path and query of a procedure's GET. */
export const queryPath = (path: ProcedurePath, input: unknown): string =>
  input === undefined ? `/trpc/${path}` : `/trpc/${path}?input=${encodeURIComponent(JSON.stringify(input))}`

/** One request to one procedure, in tRPC's plain HTTP form (https://trpc.io/docs/rpc). */
export async function call<P extends ProcedurePath>(
  http: Http,
  path: P,
  ...[input, signal]: InputOf<P> extends void
    ? [input?: undefined, signal?: AbortSignal]
    : [input: InputOf<P>, signal?: AbortSignal]
): Promise<OutputOf<P>> {
  const abort = signal ? { signal } : {}
  const body = mutations.has(path)
    ? await http.text({
        method: 'POST',
        path: `/trpc/${path}`,
        headers: { 'content-type': 'application/json' },
        body: input === undefined ? '{}' : JSON.stringify(input),
        ...abort,
      })
    : await http.text({ method: 'GET', path: queryPath(path, input), ...abort })
  return trpcData(body) as OutputOf<P>
}
