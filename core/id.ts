import { z } from 'zod'

/** Crockford base32 without i, l, o and u: an id survives being read aloud. */
const idAlphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** Characters after the prefix: 50 bits, so a million ids of one kind collide with odds of 1 in 2,000. Stores retry. */
export const idLength = 10

const idPattern = (prefix: string): RegExp => new RegExp(`^${prefix}_[${idAlphabet}]{${idLength}}$`)

export const RunId = z.string().regex(idPattern('run')).brand<'RunId'>()
export type RunId = z.infer<typeof RunId>

export const SandboxId = z.string().regex(idPattern('sbx')).brand<'SandboxId'>()
export type SandboxId = z.infer<typeof SandboxId>

/** Lower-case hex SHA-256 of the content. */
export const Digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .brand<'Digest'>()
export type Digest = z.infer<typeof Digest>

export type IdPrefix = 'run' | 'sbx' | 'tool'

/** `random` gives that many random bytes. */
export const makeId = (prefix: IdPrefix, random: (bytes: number) => Uint8Array): string =>
  `${prefix}_${Array.from(random(idLength), (byte) => idAlphabet[byte % 32]).join('')}`

/** Where time and randomness come from; tests give fixed ones. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}
