import { call } from '../../client/call.ts'
import { sandboxesTable } from '../../output/sandboxes.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe: 'Lists the sandboxes that live, newest first.',
  positionals: [],
  options: {
    all: { kind: 'flag', alias: 'a', describe: 'also those that are gone' },
    json: jsonFlag,
  },
  examples: [['forge sandbox ls --all', '']],
  async run(context, { options }) {
    const sandboxes = await call(await context.server(), 'sandboxes.list', { all: options.all })
    if (options.json) await context.printJson(sandboxes)
    else
      await context.print(
        await sandboxesTable(sandboxes, {
          width: context.host.size().columns,
          style: context.style,
          now: context.host.now(),
        }),
      )
    return 0
  },
})
