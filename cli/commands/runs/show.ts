import { call } from '../../client/call.ts'
import { runDetails } from '../../output/runs.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { runPositional } from './ref.ts'

export const command = defineCommand({
  describe: 'Shows one run: its task, state, costs and result.',
  positionals: [runPositional],
  options: { json: jsonFlag },
  examples: [
    ['forge runs show', 'the last run'],
    ['forge runs show run_7k --json', 'the run whose id begins so, as JSON'],
  ],
  async run(context, { options, positionals }) {
    const run = await call(await context.server(), 'runs.get', { ref: positionals[0] ?? 'last' })
    if (options.json) await context.printJson(run)
    else await context.print(runDetails(run, context.style))
    return 0
  },
})
