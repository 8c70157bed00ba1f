import { call } from '../../client/call.ts'
import { followRun } from '../../client/follow.ts'
import { defineCommand } from '../../program/command.ts'
import { followOptions, shower } from '../runs/attach.ts'
import { storedEvents } from '../runs/events.ts'
import { afterOption, runPositional } from '../runs/ref.ts'

export const command = defineCommand({
  describe:
    'Shows what happened in a run so far. With --follow it stays until the run has finished, and takes the stream up again after a break without losing or repeating an event. With --json each line is one event, valid against the schema that --schema prints; with --follow the last line is run.finished.',
  positionals: [runPositional],
  options: {
    after: afterOption,
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
    const { signal } = new AbortController()
    const events = followRun(http, id, followOptions(context, { after, signal }))
    for await (const event of events) await show(event)
    return 0
  },
})
