/** A client in a process of its own: `subscriber.ts SOCKET RUN` tells its parent when each event arrived. */

import { followRun } from '#cli/client/follow.ts'
import { Http } from '#cli/client/http.ts'
import { RunId } from '#core/id.ts'

export interface Seen {
  readonly seq: number
  /** Of `process.hrtime.bigint()`, which on Linux is one clock for all processes. */
  readonly at: string
}

const [socket = '', run] = process.argv.slice(2)
const options = {
  after: 0,
  signal: new AbortController().signal,
  live: true,
  revive: async () => undefined,
  onLink: () => undefined,
  patience: 0,
  now: Date.now,
}
let ready = false
for await (const { seq } of followRun(new Http(socket), RunId.parse(run), options)) {
  const at = String(process.hrtime.bigint())
  // The first event is the run's creation, from before this process began.
  process.send?.(ready ? ({ seq, at } satisfies Seen) : 'ready')
  ready = true
}
