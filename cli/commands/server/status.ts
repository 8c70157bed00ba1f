import { call } from '../../client/call.ts'
import { statusText } from '../../output/status.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe:
    'Shows whether the server runs, and how. Does not start one: without a server it says so and exits with 1 (with --json: {"running":false}).',
  positionals: [],
  options: { json: jsonFlag },
  examples: [
    ['forge status', ''],
    ['forge status --json | jq .pid', 'the server’s process id'],
  ],
  async run(context, { options }) {
    const server = await context.runningServer()
    if (!server) {
      if (options.json) await context.printJson({ running: false })
      else
        await context.print(
          'the Forge server is not running (forge serve, or any command that needs it, starts it)\n',
        )
      return 1
    }
    const status = await call(server, 'server.status')
    if (options.json) await context.printJson({ running: true, ...status })
    else await context.print(statusText(status, context.style))
    return 0
  },
})
