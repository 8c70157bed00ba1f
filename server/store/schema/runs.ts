import { bigint, doublePrecision, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import type { DiffStat, RunOutcome, RunSpec, RunState, Tokens } from '#core/run/run.ts'
import { instant } from './instant.ts'

export const runs = pgTable('runs', {
  id: text().primaryKey(),
  state: text().$type<RunState>().notNull().default('queued'),
  outcome: text().$type<RunOutcome>(),
  actor: text().notNull(),
  spec: jsonb().$type<RunSpec>().notNull(),
  model: text().notNull(),
  provider: text().notNull(),
  sandbox: text(),
  source: text().notNull(),
  turns: integer().notNull().default(0),
  tokens: jsonb().$type<Tokens>().notNull(),
  cost: doublePrecision(),
  diff: jsonb().$type<DiffStat>(),
  summary: text(),
  reason: text(),
  cancelled: text().$type<'cancelled' | 'interrupted' | 'terminated'>(),
  createdAt: instant('created_at').notNull(),
  finishedAt: instant('finished_at'),
  lastSeq: bigint('last_seq', { mode: 'number' }).notNull().default(0),
})
