import { configRouter } from './config/procedures.ts'
import { runRouter } from './run/procedures.ts'
import { sandboxRouter } from './sandbox/procedures.ts'
import { serverRouter } from './server/procedures.ts'
import { router } from './trpc.ts'

export const appRouter = router({
  config: configRouter,
  runs: runRouter,
  sandboxes: sandboxRouter,
  server: serverRouter,
})
export type AppRouter = typeof appRouter
