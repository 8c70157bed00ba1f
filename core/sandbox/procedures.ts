import { z } from 'zod'
import { SandboxId } from '../id.ts'
import { procedure, router } from '../trpc.ts'
import { SandboxSpec } from './sandbox.ts'

export const sandboxRouter = router({
  list: procedure
    .input(z.object({ all: z.boolean().default(false) }).prefault({}))
    .query(({ ctx, input }) => ctx.sandboxes.list(input.all)),
  create: procedure.input(SandboxSpec).mutation(({ ctx, input }) => ctx.sandboxes.create(input)),
  get: procedure
    .input(z.object({ ref: z.string().min(1).max(100) }))
    .query(({ ctx, input }) => ctx.sandboxes.get(input.ref)),
  destroy: procedure
    .input(z.object({ id: SandboxId }))
    .mutation(({ ctx, input }) => ctx.sandboxes.destroy(input.id)),
  probe: procedure.query(({ ctx }) => ctx.sandboxes.probe()),
})
