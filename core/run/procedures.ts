import { tracked } from '@trpc/server'
import { z } from 'zod'
import { RunId } from '../id.ts'
import { procedure, router } from '../trpc.ts'
import { ModelCredentials, RunSpec } from './run.ts'

const after = z.number().int().nonnegative().default(0)

export const runRouter = router({
  create: procedure
    .input(z.object({ spec: RunSpec, credentials: ModelCredentials.optional() }))
    .mutation(({ ctx, input }) =>
      ctx.runs.create(input.spec, { actor: ctx.actor, credentials: input.credentials }),
    ),
  list: procedure
    .input(z.object({ limit: z.number().int().min(1).max(1000).default(100) }).prefault({}))
    .query(({ ctx, input }) => ctx.runs.list(input.limit)),
  get: procedure
    .input(z.object({ ref: z.string().min(1).max(100) }))
    .query(({ ctx, input }) => ctx.runs.get(input.ref)),
  cancel: procedure
    .input(
      z.object({
        id: RunId,
        outcome: z.enum(['cancelled', 'interrupted', 'terminated']).default('cancelled'),
      }),
    )
    .mutation(({ ctx, input }) => ctx.runs.cancel(input.id, { actor: ctx.actor, outcome: input.outcome })),
  events: procedure
    .input(z.object({ id: RunId, after, limit: z.number().int().min(1).max(10_000).default(1000) }))
    .query(({ ctx, input }) => ctx.runs.events(input.id, input)),
  /** `lastEventId` is the seq of the last event that the client has; it wins over `after`. */
  follow: procedure
    .input(z.object({ id: RunId, after, lastEventId: z.coerce.number().int().nonnegative().optional() }))
    .subscription(async function* ({ ctx, input, signal }) {
      const from = input.lastEventId ?? input.after
      for await (const item of ctx.runs.follow(input.id, from, signal ?? new AbortController().signal))
        yield tracked(String(item.kind === 'item' ? item.item.seq : item.after), item)
    }),
  diff: procedure.input(z.object({ id: RunId })).query(({ ctx, input }) => ctx.runs.diff(input.id)),
})
