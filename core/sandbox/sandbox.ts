import { z } from 'zod'
import { ForgeError } from '../errors.ts'
import { RunId, SandboxId } from '../id.ts'

export const SandboxState = z.enum([
  'creating',
  'provisioning',
  'running',
  'suspended',
  'destroyed',
  'failed',
])
export type SandboxState = z.infer<typeof SandboxState>

const moves: Record<SandboxState, readonly SandboxState[]> = {
  creating: ['provisioning', 'failed', 'destroyed'],
  provisioning: ['running', 'failed', 'destroyed'],
  running: ['suspended', 'failed', 'destroyed'],
  suspended: ['running', 'failed', 'destroyed'],
  failed: ['destroyed'],
  destroyed: [],
}

/** Throws `illegal_move` where the table has no such move. */
export function assertSandboxMove(from: SandboxState, to: SandboxState): void {
  if (!moves[from].includes(to))
    throw new ForgeError('illegal_move', `a sandbox cannot go from ${from} to ${to}`, { data: { from, to } })
}

export const SandboxLimits = z.object({
  memoryMb: z.number().int().min(64).max(1_048_576).default(4096),
  /** Processes and threads. */
  pids: z.number().int().min(16).max(100_000).default(1024),
  /** Of everything the sandbox can write to. */
  diskMb: z.number().int().min(16).max(10_485_760).default(10_240),
  /** Cores; absent means all of the host's. */
  cpus: z.number().positive().max(1024).optional(),
})
export type SandboxLimits = z.infer<typeof SandboxLimits>

export const SandboxSpec = z.object({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes')
    .optional(),
  provider: z.string().max(100).default('auto'),
  limits: SandboxLimits.prefault({}),
  allow: z.array(z.string().min(1).max(300)).max(200).default([]),
})
export type SandboxSpec = z.infer<typeof SandboxSpec>

/** Whether one limit holds, and in words how, or why not. */
export const Enforcement = z.object({ enforced: z.boolean(), how: z.string() })
export type Enforcement = z.infer<typeof Enforcement>
export const Enforcements = z.object({
  memory: Enforcement,
  pids: Enforcement,
  disk: Enforcement,
  cpus: Enforcement,
})
export type Enforcements = z.infer<typeof Enforcements>

export const Sandbox = z.object({
  id: SandboxId,
  name: z.string().nullable(),
  state: SandboxState,
  provider: z.string(),
  run: RunId.nullable(),
  limits: SandboxLimits,
  enforcement: Enforcements.nullable(),
  reason: z.string().nullable(),
  createdAt: z.string(),
})
export type Sandbox = z.infer<typeof Sandbox>

/** What `forge doctor` says of one provider; `works` was proven by booting a sandbox and running a command in it. */
export const ProviderReport = z.object({
  id: z.string(),
  works: z.boolean(),
  /** `shared`: the host's kernel; `own`: a kernel of its own. */
  kernel: z.enum(['shared', 'own']),
  /** From the start to the first command's answer, in milliseconds; null when it does not work. */
  bootMs: z.number().nullable(),
  detail: z.string(),
  /** Commands that mend it. */
  fix: z.array(z.string()),
  enforcement: Enforcements.nullable(),
})
export type ProviderReport = z.infer<typeof ProviderReport>
