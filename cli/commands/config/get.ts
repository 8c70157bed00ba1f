import { call } from '../../client/call.ts'
import { configDetails } from '../../output/config.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe: 'Shows one setting: its value, what it is for, and what sets it.',
  positionals: [{ name: 'SETTING', describe: 'its name, as forge config ls shows it', required: true }],
  options: { json: jsonFlag },
  examples: [['forge config get model.default', '']],
  async run(context, { options, positionals }) {
    const item = await call(await context.server(), 'config.get', { id: positionals[0] ?? '' })
    if (options.json) await context.printJson(item)
    else await context.print(configDetails(item, context.style))
    return 0
  },
})
