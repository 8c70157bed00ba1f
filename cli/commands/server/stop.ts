import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { call } from '../../client/call.ts'
import { isAlive } from '../../client/process.ts'
import { health } from '../../client/start.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

const stopLimitMs = 30_000

export const command = defineCommand({
  describe:
    'Stops the server and waits until it is gone. Runs that are under way go on when it starts again. Exits with 0 when none was running, too.',
  positionals: [],
  options: { json: jsonFlag },
  examples: [['forge stop', '']],
  async run(context, { options }) {
    const running = await health(context.places.socket)
    const server = running && (await context.runningServer())
    if (!running || !server) {
      if (options.json) await context.printJson({ stopped: false, pid: null })
      else await context.print('no Forge server is running\n')
      return 0
    }
    await call(server, 'server.stop')
    const deadline = context.host.now() + stopLimitMs
    while (await isAlive(running.pid)) {
      if (context.host.now() > deadline)
        throw new ForgeError(
          'timed_out',
          `the server (pid ${running.pid}) did not stop within ${stopLimitMs / 1000} s`,
          {
            hint: `kill ${running.pid}; the next start recovers what was under way`,
          },
        )
      await sleep(20)
    }
    if (options.json) await context.printJson({ stopped: true, pid: running.pid })
    else await context.print(`stopped the Forge server (pid ${running.pid})\n`)
    return 0
  },
})
