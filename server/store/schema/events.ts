import { sql } from 'drizzle-orm'
import { bigint, check, foreignKey, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core'
import type { EventData, EventType } from '#core/event/event.ts'
import { instant } from './instant.ts'
import { runs } from './runs.ts'

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
  (table) => [
    primaryKey({ name: 'events_pkey', columns: [table.runId, table.seq] }),
    foreignKey({
      name: 'events_run_id_fkey',
      columns: [table.runId],
      foreignColumns: [runs.id],
    }).onDelete('cascade'),
    check('events_seq_check', sql`seq > 0`),
  ],
)
