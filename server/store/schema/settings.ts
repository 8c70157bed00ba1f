import { jsonb, pgTable, text } from 'drizzle-orm/pg-core'

/** Small facts of the server itself, by name. */
export const settings = pgTable('settings', {
  key: text().primaryKey(),
  value: jsonb().notNull(),
})
