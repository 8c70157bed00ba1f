import { z } from 'zod'

/**
 * Every stream is a snapshot, then events, then live events, and can be taken up again "after N".
 * `caught-up` marks where the stored part ends and the live part begins.
 */
export const CaughtUp = z.object({ kind: z.literal('caught-up'), after: z.number().int() })
export const streamItem = <T extends z.ZodType>(item: T) =>
  z.discriminatedUnion('kind', [z.object({ kind: z.literal('item'), item }), CaughtUp])
export type StreamItem<T> = { kind: 'item'; item: T } | z.infer<typeof CaughtUp>
