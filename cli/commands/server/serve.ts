import { existsSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { ForgeError } from '#core/errors.ts'
import { defineCommand } from '../../program/command.ts'

export const command = defineCommand({
  describe:
    'Runs the server in the foreground until SIGINT or SIGTERM. Other commands start one in the background by themselves when they need it. Settings come from the configuration and the environment: see forge config ls.',
  positionals: [],
  options: {},
  examples: [
    ['forge serve', ''],
    ['FORGE_HOME=/tmp/f forge serve', 'an instance of its own, with all its files in one folder'],
  ],
  async run(context) {
    const program = path.join(context.host.root, 'dist', 'server.mjs')
    if (!existsSync(program))
      throw new ForgeError('config_invalid', `the server is not built: ${program} is missing`, {
        hint: 'run: npm run build',
      })
    // In this very process, so that its pid and its signals are the server's.
    await import(pathToFileURL(program).href)
    return undefined
  },
})
