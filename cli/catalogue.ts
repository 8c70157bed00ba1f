import type { Command } from './program/command.ts'

/** One command by name; its module is loaded when it is called. */
export interface Entry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<{ command: Command }>
}

const entry = (name: string, summary: string, load: () => Promise<{ command: unknown }>): Entry => ({
  name,
  summary,
  // Each command checks its own options' types; here they are all alike.
  load: load as Entry['load'],
})

/** Every command, in the order of the help. */
export const catalogue: readonly Entry[] = [
  entry('run', 'let an agent work on a task in a sandbox', () => import('./commands/runs/run.ts')),
  entry('runs ls', 'list runs, newest first', () => import('./commands/runs/ls.ts')),
  entry('runs show', 'show one run', () => import('./commands/runs/show.ts')),
  entry('runs events', 'what happened in a run', () => import('./commands/runs/events.ts')),
  entry('runs cancel', 'stop a run', () => import('./commands/runs/cancel.ts')),
  entry('events', 'what happened in a run, as it happens', () => import('./commands/events/events.ts')),
  entry('diff', 'show the work of a run', () => import('./commands/workspace/diff.ts')),
  entry('apply', 'take the work of a run', () => import('./commands/workspace/apply.ts')),
  entry('sandbox ls', 'list sandboxes', () => import('./commands/sandbox/ls.ts')),
  entry('sandbox create', 'make a sandbox', () => import('./commands/sandbox/create.ts')),
  entry('sandbox exec', 'run a command in a sandbox', () => import('./commands/sandbox/exec.ts')),
  entry('sandbox shell', 'open a shell in a sandbox', () => import('./commands/sandbox/shell.ts')),
  entry('sandbox cp', 'copy files to or from a sandbox', () => import('./commands/sandbox/cp.ts')),
  entry('sandbox rm', 'remove sandboxes', () => import('./commands/sandbox/rm.ts')),
  entry('serve', 'run the server in the foreground', () => import('./commands/server/serve.ts')),
  entry('status', 'show whether the server runs, and how', () => import('./commands/server/status.ts')),
  entry('stop', 'stop the server', () => import('./commands/server/stop.ts')),
  entry('doctor', 'try each sandbox provider by booting one', () => import('./commands/server/doctor.ts')),
  entry('config ls', 'list the settings', () => import('./commands/config/ls.ts')),
  entry('config get', 'show one setting', () => import('./commands/config/get.ts')),
  entry('config set', 'change one setting', () => import('./commands/config/set.ts')),
  entry('config unset', 'give a setting its default again', () => import('./commands/config/unset.ts')),
  entry('completion', 'print a completion script for your shell', async () => {
    const { completionCommand } = await import('./commands/completion/completion.ts')
    return { command: completionCommand(catalogue) }
  }),
]
