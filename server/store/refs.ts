import { ForgeError } from '#core/errors.ts'
import { type IdPrefix, idLength } from '#core/id.ts'
import { storeError, violatedConstraint } from './errors.ts'

/** How many of several matches are looked at: more are "many". */
export const mostMatches = 6

/** What `LIKE` finds the ids by that `ref` is the beginning of, with or without their prefix; null: there can be none. */
export function idsLike(prefix: IdPrefix, ref: string): string | null {
  const start = ref.startsWith(`${prefix}_`) ? ref : `${prefix}_${ref}`
  return new RegExp(`^${prefix}_[0-9a-z]{1,${idLength}}$`).test(start)
    ? `${start.replace('_', '\\_')}%`
    : null
}

/** The one of at most `mostMatches` rows. Throws `none` when there is none, `conflict` when there are several. */
export function theOnly<T extends { id: string }>(
  found: readonly T[],
  { ref, plural, none }: { ref: string; plural: string; none: () => ForgeError },
): T {
  const [only] = found
  if (only === undefined) throw none()
  if (found.length === 1) return only
  const count = found.length < mostMatches ? found.length : 'many'
  throw new ForgeError('conflict', `${ref} is the beginning of ${count} ${plural}`, {
    hint: 'give more of the id',
    data: { ids: found.map(({ id }) => id) },
  })
}

const attempts = 5

/** Inserts under a new id, and under another one when that is taken: `primaryKey` says so. Words every other error. */
export async function withFreshId<T>(primaryKey: string, insert: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await insert()
    } catch (error) {
      if (violatedConstraint(error) !== primaryKey || attempt === attempts) throw storeError(error)
    }
  }
}
