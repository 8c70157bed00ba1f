import { text as readText } from 'node:stream/consumers'
import { ForgeError } from '#core/errors.ts'
import { EgressPattern, type RunSpecInput } from '#core/run/run.ts'
import { call } from '../../client/call.ts'
import type { Context } from '../../context.ts'
import { safe } from '../../output/safe.ts'
import { defineCommand } from '../../program/command.ts'
import { duration, number, text, texts } from '../../program/values.ts'
import { takenText, takeWork } from '../workspace/take.ts'
import { attach } from './attach.ts'
import { credentialsFrom } from './credentials.ts'
import { sourceFrom } from './source.ts'
import { StopSignals } from './stop-signals.ts'

const options = {
  repo: text({
    describe:
      'a path or a URL; default: the repository of the working directory, with its uncommitted changes',
    placeholder: 'PATH|URL',
  }),
  model: text({ describe: 'anthropic/NAME, openai/NAME or demo/scripted', placeholder: 'MODEL', alias: 'm' }),
  provider: text({ describe: 'the sandbox provider', placeholder: 'NAME' }),
  check: text({ describe: 'a shell command that must succeed for the run to be done', placeholder: 'CMD' }),
  maxTurns: number({ describe: 'model turns at most', placeholder: 'N', integer: true, min: 1, max: 1000 }),
  maxCost: number({ describe: 'US dollars at most', placeholder: 'USD', min: 0, max: 1_000_000 }),
  maxTokens: number({
    describe: 'tokens at most, in and out',
    placeholder: 'N',
    integer: true,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
  timeout: duration({
    describe: 'wall time at most, such as 90s, 10m, 1h',
    placeholder: 'TIME',
    max: 7 * 86_400,
  }),
  allow: texts({ describe: 'let the sandbox reach HOST:PORT too', placeholder: 'HOST' }),
  apply: { kind: 'flag', describe: 'take the work into the working tree when the run is done' },
  detach: { kind: 'flag', alias: 'd', describe: 'start the run and leave; forge events --follow watches it' },
  json: { kind: 'flag', describe: 'one JSON event a line on standard output; with --detach the run' },
} as const

const describe = `Starts an agent on a task, in a sandbox with a copy of your repository, and shows what it does. Your own tree is not touched: look at the work with forge diff and take it with forge apply.

Ctrl-C cancels the run and waits for its end; once more leaves at once. Model keys come from ANTHROPIC_API_KEY and OPENAI_API_KEY (with ANTHROPIC_BASE_URL, OPENAI_BASE_URL) or the configuration; they never enter the sandbox.

With --json each line is one event (forge events --schema), the first names the schema, the last is run.finished. An error before the run exists is on standard error only.

Exit codes: 0 done, 1 general, 2 usage, 3 configuration, 4 model or sandbox provider not available, 5 not done or the check failed, 6 a bug, 7 denied, 8 budget spent, 9 sandbox lost, 124 timed out, 130 interrupted, 143 terminated.`

export const command = defineCommand({
  describe,
  positionals: [
    { name: 'PROMPT', describe: 'what is to be done; - reads it from standard input', required: true },
  ],
  options,
  conflicts: [['apply', 'detach']],
  examples: [
    ['forge run "make the failing test pass" --check "npm test"', 'the run is done when the check passes'],
    ['forge run - < task.md', 'a longer task from a file'],
    ['forge run "add a changelog" --repo https://example.com/x.git --json', 'for scripts'],
    [
      'forge run "update dependencies" --allow registry.example.com:443 --max-cost 2',
      'more network, less money',
    ],
  ],
  async run(context, args) {
    const prompt = await promptFrom(context, args.positionals[0] ?? '')
    const credentials = credentialsFrom(context.host.env)
    const { options: given } = args
    for (const host of given.allow)
      if (!EgressPattern.safeParse(host).success)
        throw new ForgeError('usage', `--allow: ${safe(host)} is not a host or host:port`)
    const http = await context.server()
    using signals = new StopSignals(context.host)
    const source = await sourceFrom(context, http, { repo: given.repo, signal: signals.signal })
    if (signals.first) throw new ForgeError(signals.first, `${signals.first} before the run was started`)
    const spec: RunSpecInput = {
      prompt,
      source,
      allow: [...given.allow],
      ...defined({ model: given.model, provider: given.provider, check: given.check }),
      limits: defined({
        maxTurns: given.maxTurns,
        maxCost: given.maxCost,
        maxTokens: given.maxTokens,
        timeout: given.timeout,
      }),
    }
    const run = await call(http, 'runs.create', { spec, ...defined({ credentials }) })
    if (given.detach) {
      if (given.json) await context.printJson(run)
      else await context.print(`${run.id}\n  forge events ${run.id} --follow   watch it\n`)
      return 0
    }
    const finished = await attach(context, http, { run: run.id, json: given.json, signals })
    if (given.apply && finished.data.outcome === 'done') {
      const repository = source.kind === 'bundle' ? source.path : '.'
      const taken = await takeWork(context, http, {
        run: run.id,
        repository,
        branch: undefined,
        force: false,
      })
      context.note(takenText(taken))
    }
    return finished.data.exitCode
  },
})

/** The fields that were given: an absent one takes the server's default. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

async function promptFrom(context: Context, word: string): Promise<string> {
  const prompt = word === '-' ? await readText(context.host.stdin) : word
  if (prompt.trim() === '')
    throw new ForgeError('usage', word === '-' ? 'standard input holds no prompt' : 'the prompt is empty', {
      hint: 'usage: forge run PROMPT [options], or forge run - < FILE',
    })
  return prompt
}
