import { z } from 'zod'

export const ServerStatus = z.object({
  pid: z.number().int(),
  version: z.string(),
  home: z.string(),
  socket: z.string(),
  startedAt: z.string(),
  database: z.object({ kind: z.enum(['embedded', 'given']), version: z.string() }),
  runs: z.object({ active: z.number().int(), total: z.number().int() }),
  sandboxes: z.object({ live: z.number().int() }),
  /** The model that a run without `--model` takes, and whether it is the scripted demonstration. */
  model: z.object({ id: z.string(), scripted: z.boolean() }),
})
export type ServerStatus = z.infer<typeof ServerStatus>
