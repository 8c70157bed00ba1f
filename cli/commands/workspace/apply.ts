import { call } from '../../client/call.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { text } from '../../program/values.ts'
import { runPositional } from '../runs/ref.ts'
import { takenText, takeWork } from './take.ts'

export const command = defineCommand({
  describe:
    'Takes the work of a run into the repository of the working directory: into its working tree, all of it or nothing, or with --branch as a branch with the run’s commits. Refuses where that would overwrite something of yours.',
  positionals: [runPositional],
  options: {
    branch: text({
      describe: 'make this branch instead of changing the working tree',
      placeholder: 'NAME',
      alias: 'b',
    }),
    tree: { kind: 'flag', describe: 'into the working tree, as without --branch' },
    force: { kind: 'flag', alias: 'f', describe: 'with --branch: move it where it exists already' },
    repo: text({ describe: 'the repository; default: that of the working directory', placeholder: 'PATH' }),
    json: jsonFlag,
  },
  conflicts: [
    ['branch', 'tree'],
    ['tree', 'force'],
  ],
  examples: [
    ['forge apply', 'the work of the last run, into the working tree'],
    ['forge apply run_7k --branch fix-parser', 'as a branch'],
  ],
  async run(context, { options, positionals }) {
    const http = await context.server()
    const { id } = await call(http, 'runs.get', { ref: positionals[0] ?? 'last' })
    const taken = await takeWork(context, http, {
      run: id,
      repository: options.repo ?? '.',
      branch: options.branch,
      force: options.force,
    })
    if (options.json) await context.printJson({ run: id, ...taken })
    else await context.print(`${takenText(taken)}\n`)
    return 0
  },
})
