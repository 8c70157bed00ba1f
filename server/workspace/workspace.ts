import type { Digest } from '#core/id.ts'
import type { DiffStat, RunSource } from '#core/run/run.ts'
import type { FileChange } from '#core/workspace/workspace.ts'
import type { Wire } from '../sandbox/wire/wire.ts'

export interface Prepared {
  /** The work tree in the sandbox. */
  readonly path: string
  /** Null when there was no repository or no commit: everything in the work tree is then new. */
  readonly start: string | null
  readonly head: string | null
  readonly branch: string
  readonly files: number
  readonly bytes: number
}

export interface Captured {
  readonly tip: string | null
  readonly stat: DiffStat
  readonly files: FileChange[]
  readonly bundle: Digest | null
  readonly patch: Digest | null
  /** What was left out or changed on the way, for people. */
  readonly warnings: string[]
}

/** Moves a repository into a sandbox and the work out of it. Git never runs on the agent's work tree outside the sandbox. */
export interface Workspaces {
  prepare(wire: Wire, source: RunSource, options: { branch: string; signal: AbortSignal }): Promise<Prepared>
  /** Commits what changed on `prepared.branch` in the sandbox, brings it out as a bundle and checks it. */
  capture(
    wire: Wire,
    prepared: Prepared,
    options: { message: string; signal: AbortSignal },
  ): Promise<Captured>
  /** Once nothing more will be captured on the branch. Idempotent. */
  forget(branch: string): Promise<void>
}
