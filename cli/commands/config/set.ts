import { text as readText } from 'node:stream/consumers'
import { call } from '../../client/call.ts'
import { configDetails } from '../../output/config.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe:
    'Changes one setting for later runs. A list is JSON, or words with commas. Secrets go to a file that only you can read; give them on standard input, so that they stay out of the shell’s history.',
  positionals: [
    { name: 'SETTING', describe: 'its name, as forge config ls shows it', required: true },
    { name: 'VALUE', describe: 'its value; - reads it from standard input', required: true },
  ],
  options: { json: jsonFlag },
  examples: [
    ['forge config set run.maxTurns 30', ''],
    ['forge config set egress.allow registry.npmjs.org:443,pypi.org:443', 'a list'],
    ['forge config set model.anthropic.apiKey - < key.txt', 'a secret'],
  ],
  async run(context, { options, positionals }) {
    const [id = '', word = ''] = positionals
    const value = word === '-' ? (await readText(context.host.stdin)).trim() : word
    const item = await call(await context.server(), 'config.set', { id, value })
    if (options.json) await context.printJson(item)
    else await context.print(configDetails(item, context.style))
    if (item.source === 'environment')
      context.note(`${item.id} is set by the environment (${item.env.join(', ')}), which wins over the file`)
    return 0
  },
})
