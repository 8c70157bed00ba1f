import { bigint, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import type { EventData, EventType } from '#core/event/event.ts'
import { instant } from './instant.ts'

export const events = pgTable(
  'events',
  {
    runId: text('run_id').notNull(),
    seq: bigint({ mode: 'number' }).notNull(),
    at: instant().notNull(),
    actor: text().notNull(),
    type: text().$type<EventType>().notNull(),
    data: jsonb().$type<EventData>().notNull(),
    batch: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ name: 'events_pkey', columns: [table.runId, table.seq] })],
)
