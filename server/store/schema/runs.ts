import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  text,
} from 'drizzle-orm/pg-core'
import type { DiffStat, RunOutcome, RunSpec, RunState, Tokens } from '#core/run/run.ts'
import type { RunWork } from '../../run/run-work.ts'
import { instant } from './instant.ts'

export const runs = pgTable(
  'runs',
  {
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
    work: jsonb().$type<RunWork>(),
    resume: jsonb().$type<Record<string, unknown>>(),
    cancelled: text().$type<'cancelled' | 'interrupted' | 'terminated'>(),
    createdAt: instant('created_at').notNull(),
    finishedAt: instant('finished_at'),
    lastSeq: bigint('last_seq', { mode: 'number' }).notNull().default(0),
    closed: boolean().notNull().default(false),
  },
  (table) => [
    index('runs_created_at').on(table.createdAt.desc(), table.id.desc()),
    index('runs_unfinished').on(table.createdAt).where(sql`state <> 'finished'`),
    index('runs_id_prefix').on(table.id.op('text_pattern_ops')),
    check('runs_id_check', sql`id ~ '^run_[0-9a-hjkmnp-tv-z]{10}$'`),
    check('runs_state_check', sql`state IN ('queued', 'preparing', 'running', 'waiting', 'finished')`),
    check(
      'runs_finished',
      sql`(state = 'finished') = (outcome IS NOT NULL) AND (state = 'finished') = (finished_at IS NOT NULL)`,
    ),
  ],
)
