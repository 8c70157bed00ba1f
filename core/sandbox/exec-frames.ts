import { z } from 'zod'
import { ErrorShape } from '../errors.ts'

/**
 * The WebSocket `GET /v1/sandboxes/ID/exec` carries one command or terminal. Binary messages: the first
 * byte is the channel, the rest is data. The client's first message is `start`. An empty `stdin` message
 * ends standard input.
 */
export const channel = { stdin: 0, stdout: 1, stderr: 2, control: 3 } as const

/** Client to server, JSON on the control channel. */
export const ExecControl = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('start'),
    /** Absent with `terminal`: a login shell. Run by `bash -c`. */
    command: z.string().max(1_000_000).optional(),
    cwd: z.string().max(4096).optional(),
    env: z.record(z.string(), z.string()).optional(),
    /** Milliseconds. */
    timeout: z.number().int().positive().optional(),
    terminal: z
      .object({
        columns: z.number().int().min(1).max(10_000),
        rows: z.number().int().min(1).max(10_000),
        term: z.string().max(64).optional(),
      })
      .optional(),
  }),
  z.object({
    kind: z.literal('resize'),
    columns: z.number().int().min(1).max(10_000),
    rows: z.number().int().min(1).max(10_000),
  }),
  z.object({ kind: z.literal('signal'), signal: z.enum(['TERM', 'KILL', 'INT', 'HUP']) }),
])
export type ExecControl = z.infer<typeof ExecControl>

/** Server to client; always the last message, and after all output. */
export const ExecEnd = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('exit'),
    code: z.number().int().nullable(),
    signal: z.string().nullable(),
    timedOut: z.boolean(),
  }),
  z.object({ kind: z.literal('error'), error: ErrorShape }),
])
export type ExecEnd = z.infer<typeof ExecEnd>
