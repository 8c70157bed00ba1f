import { call } from '../../client/call.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { sandboxPositional } from './ref.ts'

export const command = defineCommand({
  describe: 'Ends a sandbox and everything in it, at once.',
  positionals: [sandboxPositional],
  options: { json: jsonFlag },
  examples: [['forge sandbox rm scratch', '']],
  async run(context, { options, positionals }) {
    const server = await context.server()
    const { id } = await call(server, 'sandboxes.get', { ref: positionals[0] ?? '' })
    await call(server, 'sandboxes.destroy', { id })
    if (options.json) await context.printJson(await call(server, 'sandboxes.get', { ref: id }))
    else await context.print(`${id} is gone\n`)
    return 0
  },
})
