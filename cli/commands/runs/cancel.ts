import { call } from '../../client/call.ts'
import { defineCommand } from '../../program/command.ts'

export const command = defineCommand({
  describe: 'Stops a run. What it did so far is kept: forge diff shows it.',
  positionals: [{ name: 'RUN', describe: 'a run’s id, the beginning of it, or "last"', required: true }],
  options: { json: { kind: 'flag', describe: 'the run as one JSON document on standard output' } },
  examples: [['forge runs cancel last', 'stop the run that was started last']],
  async run(context, { options, positionals }) {
    const server = await context.server()
    const { id } = await call(server, 'runs.get', { ref: positionals[0] ?? 'last' })
    await call(server, 'runs.cancel', { id, outcome: 'cancelled' })
    const run = await call(server, 'runs.get', { ref: id })
    if (options.json) await context.printJson(run)
    else
      await context.print(
        run.state === 'finished' ? `${id} has finished (${run.outcome})\n` : `${id} is being cancelled\n`,
      )
    return 0
  },
})
