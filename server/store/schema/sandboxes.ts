import { sql } from 'drizzle-orm'
import { check, foreignKey, index, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core'
import type { Enforcements, SandboxLimits, SandboxState } from '#core/sandbox/sandbox.ts'
import { instant } from './instant.ts'
import { runs } from './runs.ts'

export const sandboxes = pgTable(
  'sandboxes',
  {
    id: text().primaryKey(),
    name: text(),
    state: text().$type<SandboxState>().notNull().default('creating'),
    provider: text().notNull(),
    run: text(),
    limits: jsonb().$type<SandboxLimits>().notNull(),
    enforcement: jsonb().$type<Enforcements>(),
    allow: jsonb().$type<string[]>().notNull().default([]),
    reason: text(),
    handle: jsonb().$type<Record<string, unknown>>(),
    createdAt: instant('created_at').notNull(),
    changedAt: instant('changed_at').notNull(),
  },
  (table) => [
    uniqueIndex('sandboxes_live_name').on(table.name).where(sql`state NOT IN ('destroyed', 'failed')`),
    index('sandboxes_created_at').on(table.createdAt.desc(), table.id.desc()),
    index('sandboxes_live').on(table.createdAt).where(sql`state <> 'destroyed'`),
    index('sandboxes_id_prefix').on(table.id.op('text_pattern_ops')),
    foreignKey({
      name: 'sandboxes_run_fkey',
      columns: [table.run],
      foreignColumns: [runs.id],
    }).onDelete('set null'),
    check('sandboxes_id_check', sql`id ~ '^sbx_[0-9a-hjkmnp-tv-z]{10}$'`),
    check(
      'sandboxes_state_check',
      sql`state IN ('creating', 'provisioning', 'running', 'suspended', 'destroyed', 'failed')`,
    ),
  ],
)
