import { jsonb, pgTable, text } from 'drizzle-orm/pg-core'
import type { Enforcements, SandboxLimits, SandboxState } from '#core/sandbox/sandbox.ts'
import { instant } from './instant.ts'

export const sandboxes = pgTable('sandboxes', {
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
})
