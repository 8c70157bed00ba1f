/** Writes the JSON Schema of an event line from its zod schema; `--check` only says whether it is up to date. */
import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { Event, eventSchemaName } from '../core/event/event.ts'

const file = 'core/event/forge.events.1.schema.json'

export function eventJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(Event, {
    target: 'draft-2020-12',
    io: 'output',
    override: ({ jsonSchema }) => {
      // An optional field may be added without a new version, so an older schema must let it pass.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
    },
  })
  return {
    $schema,
    $id: 'https://forge.invalid/schemas/forge.events.1.schema.json',
    title: eventSchemaName,
    description: 'One line of `forge run --json` and `forge events --json`.',
    ...schema,
  }
}

if (import.meta.main) {
  const text = `${JSON.stringify(eventJsonSchema(), undefined, 2)}\n`
  if (process.argv.includes('--check')) {
    const committed = await readFile(file, 'utf8').catch(() => '')
    if (committed !== text) {
      console.error(`${file} is not what core/event/event.ts says: run node scripts/schema.ts`)
      process.exitCode = 1
    }
  } else await writeFile(file, text)
}
