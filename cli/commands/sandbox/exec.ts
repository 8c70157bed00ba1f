import { ForgeError } from '#core/errors.ts'
import { quote } from '#core/sandbox/quote.ts'
import { call } from '../../client/call.ts'
import { defineCommand } from '../../program/command.ts'
import { duration, text, texts } from '../../program/values.ts'
import { sandboxPositional } from './ref.ts'
import { collectCommand, runCommand, runTerminal } from './session.ts'

export const command = defineCommand({
  describe:
    'Runs a command in a sandbox with this command’s standard input, output and error, and exits with its exit code. A single word after -- is a shell command line; several are a program and its arguments.',
  positionals: [sandboxPositional],
  rest: { name: 'COMMAND...', describe: 'the command' },
  options: {
    tty: { kind: 'flag', alias: 't', describe: 'give it a terminal' },
    cwd: text({ describe: 'the working directory in the sandbox', placeholder: 'DIR', alias: 'w' }),
    env: texts({ describe: 'set a variable', placeholder: 'NAME=VALUE', alias: 'e' }),
    timeout: duration({
      describe: 'end it after this time, such as 90s',
      placeholder: 'TIME',
      max: 7 * 86_400,
    }),
    json: {
      kind: 'flag',
      describe: 'the exit code and the output, at most 8 MiB of each stream, as one JSON document',
    },
  },
  conflicts: [
    ['tty', 'timeout'],
    ['tty', 'json'],
  ],
  examples: [
    ['forge sandbox exec scratch -- npm test', ''],
    ['forge sandbox exec scratch -- "cd /tmp && ls | wc -l"', 'a shell command line'],
    ['tar c . | forge sandbox exec scratch -- tar x -C /tmp', 'with standard input'],
    ['forge sandbox exec -t scratch -- vim notes.md', 'with a terminal'],
  ],
  async run(context, { options, positionals, rest }) {
    if (rest.length === 0)
      throw new ForgeError('usage', 'the command is missing', {
        hint: 'usage: forge sandbox exec SANDBOX -- COMMAND...\na shell: forge sandbox shell SANDBOX',
      })
    if (options.tty && !(context.host.tty.stdin && context.host.tty.stdout))
      throw new ForgeError('usage', '--tty needs a terminal on standard input and output')
    const server = await context.server()
    const { id } = await call(server, 'sandboxes.get', { ref: positionals[0] ?? '' })
    const start = {
      command: rest.length === 1 ? (rest[0] ?? '') : quote(rest),
      env: environment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.timeout === undefined ? {} : { timeout: Math.ceil(options.timeout * 1000) }),
    }
    if (options.json) return collectCommand(context, server, { sandbox: id, start })
    return options.tty
      ? runTerminal(context, server, { sandbox: id, start })
      : runCommand(context, server, { sandbox: id, start })
  },
})

function environment(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new ForgeError('usage', `--env: ${pair} is not NAME=VALUE`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
