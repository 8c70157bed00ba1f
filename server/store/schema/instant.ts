import { customType } from 'drizzle-orm/pg-core'

/** A point in time to the millisecond; ISO 8601 in UTC on this side. */
export const instant = customType<{ data: string; driverData: string | Date }>({
  dataType: () => 'timestamp(3) with time zone',
  fromDriver: (value) => new Date(value).toISOString(),
})
