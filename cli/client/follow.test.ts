import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import { RunSpec } from '#core/run/run.ts'
import { finished, workEvents } from '../testkit/script.ts'
import { startTestServer, type TestServer } from '../testkit/server.ts'
import { call } from './call.ts'
import { type FollowOptions, followRun } from './follow.ts'
import { Http } from './http.ts'

let folder: string
let server: TestServer
let http: Http
let id: RunId
let links: string[]
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'forge-follow-'))
  server = await startTestServer(path.join(folder, 'run/forge.sock'))
  http = new Http(server.socket)
  const spec = RunSpec.parse({ prompt: 'x' })
  id = (await call(http, 'runs.create', { spec })).id
  links = []
})
afterEach(async () => {
  http.close()
  await server.kill()
  await rm(folder, { recursive: true, force: true })
})

const options = (more: Partial<FollowOptions> = {}): FollowOptions => ({
  after: 0,
  signal: new AbortController().signal,
  revive: async () => {},
  onLink: (state) => links.push(state),
  patience: 5000,
  now: Date.now,
  ...more,
})

async function collect(events: AsyncIterable<Event>, each: (event: Event) => unknown = () => {}) {
  const seqs: number[] = []
  for await (const event of events) {
    seqs.push(event.seq)
    await each(event)
  }
  return seqs
}

test('ends after run.finished', async () => {
  server.runs.append(id, ...workEvents, finished('done'))
  expect(await collect(followRun(http, id, options()))).toEqual(
    workEvents.map((_e, index) => index + 1).concat(12, 13),
  )
})

test('takes up after the event that the caller has', async () => {
  server.runs.append(id, ...workEvents, finished('done'))
  expect(await collect(followRun(http, id, options({ after: 11 })))).toEqual([12, 13])
})

test('a break at any event loses none and repeats none', async () => {
  server.runs.append(id, ...workEvents, finished('done'))
  const revive = () => server.listen()
  const seqs = await collect(followRun(http, id, options({ revive })), async ({ seq }) => {
    if (seq % 3 === 0) await server.kill()
  })
  expect(seqs).toEqual(Array.from({ length: 13 }, (_unused, index) => index + 1))
})

test('gives up on a server that stays away, after its patience', async () => {
  await server.kill()
  await expect(collect(followRun(http, id, options({ patience: 300 })))).rejects.toMatchObject({
    code: 'server_unreachable',
  })
  expect(links).toEqual(['lost'])
})

test('an error of the server’s is not tried again', async () => {
  await expect(collect(followRun(http, 'run_0' as RunId, options()))).rejects.toMatchObject({
    code: 'invalid_input',
  })
  expect(links).toEqual([])
})

test('an abort ends it at once', async () => {
  const abort = new AbortController()
  const events = collect(followRun(http, id, options({ signal: abort.signal })), () => abort.abort())
  await expect(events).rejects.toMatchObject({ code: 'interrupted' })
})
