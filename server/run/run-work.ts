import type { RunDiff } from '#core/workspace/workspace.ts'

/** What a run brought back from its sandbox: its diff without what the run's row already says. */
export type RunWork = Omit<RunDiff, 'run'>
