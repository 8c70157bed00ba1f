import { procedure, router } from '../trpc.ts'

export const serverRouter = router({
  status: procedure.query(({ ctx }) => ctx.server.status()),
  stop: procedure.mutation(({ ctx }) => ctx.server.stop()),
})
