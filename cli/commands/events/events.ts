import { call } from '../../client/call.ts'
import { followRun } from '../../client/follow.ts'
import { defineCommand } from '../../program/command.ts'
import { number } from '../../program/values.ts'
import { shower } from '../runs/attach.ts'
import { storedEvents } from '../runs/events.ts'
import { runPositional } from '../runs/ref.ts'

export const command = defineCommand({
  describe:
    'Shows what happened in a run so far. With --follow it stays until the run has finished, and takes the stream up again after a break without losing or repeating an event. With --json each line is one event, valid against the schema that --schema prints; with --follow the last line is run.finished.',
  positionals: [runPositional],
  options: {
    after: number({
      describe: 'only events after this seq',
      placeholder: 'N',
      integer: true,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
    follow: { kind: 'flag', alias: 'f', describe: 'go on until the run has finished' },
    json: { kind: 'flag', describe: 'one JSON event a line on standard output' },
    schema: { kind: 'flag', describe: 'print the JSON Schema (2020-12) of an event line, and nothing else' },
  },
  conflicts: [
    ['schema', 'follow'],
    ['schema', 'after'],
  ],
  examples: [
    ['forge events --follow', 'watch the last run'],
    ['forge events run_7k --after 120 --json', 'what came after event 120'],
    ['forge events --schema', 'the contract of the lines'],
  ],
  async run(context, { options, positionals }) {
    if (options.schema) {
      const { default: schema } = await import('#core/event/forge.events.1.schema.json', {
        with: { type: 'json' },
      })
      await context.printJson(schema)
      return 0
    }
    const http = await context.server()
    const { id } = await call(http, 'runs.get', { ref: positionals[0] ?? 'last' })
    const show = shower(context, options.json)
    const after = options.after ?? 0
    if (!options.follow) {
      for await (const event of storedEvents(http, id, after)) await show(event)
      return 0
    }
    const events = followRun(http, id, {
      after,
      signal: new AbortController().signal,
      live: true,
      revive: async () => {
        await context.server()
      },
      onLink: (state) =>
        context.note(state === 'lost' ? 'the server does not answer; looking for it' : 'the server is back'),
      patience: 30_000,
      now: context.host.now,
    })
    for await (const event of events) await show(event)
    return 0
  },
})
