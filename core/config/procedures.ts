import { z } from 'zod'
import { procedure, router } from '../trpc.ts'

const id = z.string().min(1).max(200)
const text = z.string().max(100_000)

export const configRouter = router({
  list: procedure.query(({ ctx }) => ctx.config.list()),
  get: procedure.input(z.object({ id })).query(({ ctx, input }) => ctx.config.get(input.id)),
  set: procedure
    .input(z.object({ id, value: z.union([text, z.array(text).max(1000)]) }))
    .mutation(({ ctx, input }) => ctx.config.set(input.id, input.value)),
  unset: procedure.input(z.object({ id })).mutation(({ ctx, input }) => ctx.config.unset(input.id)),
})
