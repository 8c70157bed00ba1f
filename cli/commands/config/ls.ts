import { call } from '../../client/call.ts'
import { configTable } from '../../output/config.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe: 'Lists every setting with its value and where that comes from. Secrets are never shown.',
  positionals: [],
  options: { json: jsonFlag },
  examples: [['forge config ls', '']],
  async run(context, { options }) {
    const items = await call(await context.server(), 'config.list')
    if (options.json) await context.printJson(items)
    else
      await context.print(
        await configTable(items, { width: context.host.size().columns, style: context.style }),
      )
    return 0
  },
})
