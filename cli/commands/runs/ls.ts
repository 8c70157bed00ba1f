import { call } from '../../client/call.ts'
import { runsTable } from '../../output/runs.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { number } from '../../program/values.ts'

export const command = defineCommand({
  describe: 'Lists runs, newest first.',
  positionals: [],
  options: {
    limit: number({ describe: 'how many at most', placeholder: 'N', integer: true, min: 1, max: 1000 }),
    json: jsonFlag,
  },
  examples: [
    ['forge runs ls', 'the last hundred runs'],
    ['forge runs ls --json | jq -r ".[].id"', 'their ids'],
  ],
  async run(context, { options }) {
    const runs = await call(await context.server(), 'runs.list', { limit: options.limit ?? 100 })
    if (options.json) await context.printJson(runs)
    else
      await context.print(
        await runsTable(runs, {
          width: context.host.size().columns,
          style: context.style,
          now: context.host.now(),
        }),
      )
    return 0
  },
})
