import { call } from '../../client/call.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { text } from '../../program/values.ts'
import { runPositional } from '../runs/ref.ts'
import { takeWork } from './take.ts'

export const command = defineCommand({
  describe:
    'Takes the work of a run into the repository of the working directory: into its working tree, or with --branch as a branch with the run’s commits. Refuses where that would overwrite something of yours.',
  positionals: [runPositional],
  options: {
    branch: text({
      describe: 'make this branch instead of changing the working tree',
      placeholder: 'NAME',
      alias: 'b',
    }),
    json: jsonFlag,
  },
  examples: [
    ['forge apply', 'the work of the last run, into the working tree'],
    ['forge apply run_7k --branch fix-parser', 'as a branch'],
  ],
  async run(context, { options, positionals }) {
    const { id } = await call(await context.server(), 'runs.get', { ref: positionals[0] ?? 'last' })
    const taken = await takeWork(context, { run: id, branch: options.branch })
    if (options.json) await context.printJson(taken)
    else await context.print(`${taken.said}\n`)
    return 0
  },
})
