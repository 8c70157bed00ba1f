import { ForgeError } from '#core/errors.ts'
import { call } from '../../client/call.ts'
import { defineCommand } from '../../program/command.ts'
import { sandboxPositional } from './ref.ts'
import { runTerminal } from './session.ts'

export const command = defineCommand({
  describe:
    'Opens a login shell in a sandbox on this terminal. As with ssh, what runs there may use your terminal’s features.',
  positionals: [sandboxPositional],
  options: {},
  examples: [['forge sandbox shell scratch', '']],
  async run(context, { positionals }) {
    if (!(context.host.tty.stdin && context.host.tty.stdout))
      throw new ForgeError('usage', 'a shell needs a terminal on standard input and output', {
        hint: 'for scripts: forge sandbox exec SANDBOX -- COMMAND...',
      })
    const server = await context.server()
    const { id } = await call(server, 'sandboxes.get', { ref: positionals[0] ?? '' })
    return runTerminal(context, server, { sandbox: id, start: {} })
  },
})
