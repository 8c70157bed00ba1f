import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { call } from '../../client/call.ts'
import type { Http } from '../../client/http.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { shower } from './attach.ts'
import { afterOption, runPositional } from './ref.ts'

const pageSize = 1000

/** What is stored of a run after `after`, page by page. */
export async function* storedEvents(http: Http, id: RunId, after: number): AsyncGenerator<Event> {
  for (let at = after; ; ) {
    const page: Event[] = await call(http, 'runs.events', { id, after: at, limit: pageSize })
    yield* page
    const last = page.at(-1)
    if (!last || page.length < pageSize) return
    at = last.seq
  }
}

export const command = defineCommand({
  describe:
    'Shows what happened in a run so far. With --json the events are one array; forge events gives them as a stream of lines, also while the run goes on.',
  positionals: [runPositional],
  options: {
    after: afterOption,
    json: jsonFlag,
  },
  examples: [
    ['forge runs events', 'the last run'],
    ['forge runs events run_7k --json | jq ".[].type"', ''],
  ],
  async run(context, { options, positionals }) {
    const http = await context.server()
    const { id } = await call(http, 'runs.get', { ref: positionals[0] ?? 'last' })
    const events = storedEvents(http, id, options.after ?? 0)
    if (!options.json) {
      const show = shower(context, false)
      for await (const event of events) await show(event)
      return 0
    }
    // Written as it comes: a long run's events need not fit into memory.
    let separator = '[\n  '
    for await (const event of events) {
      await context.print(separator + JSON.stringify(event))
      separator = ',\n  '
    }
    await context.print(separator.startsWith('[') ? '[]\n' : '\n]\n')
    return 0
  },
})
