import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect } from 'vitest'
import type { Event, EventOf } from '#core/event/event.ts'

const schemaFile = path.resolve(import.meta.dirname, '../../core/event/forge.events.1.schema.json')
// The schema's `date-time` goes with a pattern of its own.
const validate = new Ajv2020({ strict: false, formats: { 'date-time': true, uri: true } }).compile(
  JSON.parse(readFileSync(schemaFile, 'utf8')),
)

export interface Stream {
  readonly events: Event[]
  readonly finished: EventOf<'run.finished'>
}

/**
 * Holds what `forge run --json` wrote to its contract: each line valid against the shipped JSON Schema, one run,
 * `seq` from 1 without gaps, the schema's name on the first line only, `run.finished` last and nowhere else,
 * its exit code that of the process.
 */
export function contract({
  stdout,
  stderr,
  code,
}: {
  stdout: string
  stderr: string
  code: number | null
}): Stream {
  expect(stdout.endsWith('\n'), stdout + stderr).toBe(true)
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
  for (const event of events)
    expect(validate(event), `${JSON.stringify(validate.errors)} ${JSON.stringify(event)}`).toBe(true)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
  expect(events.map(({ schema }) => schema)).toEqual(
    events.map((_, index) => (index === 0 ? 'forge.events/1' : undefined)),
  )
  expect(new Set(events.map(({ run }) => run)).size).toBe(1)
  const ends = events.filter((event): event is EventOf<'run.finished'> => event.type === 'run.finished')
  expect(ends).toEqual([events.at(-1)])
  const [finished] = ends
  if (!finished) throw new Error('the stream has no run.finished')
  expect(code, stderr).toBe(finished.data.exitCode)
  return { events, finished }
}

/** The events of one type. */
export const only = <T extends Event['type']>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type)
