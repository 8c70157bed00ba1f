import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { Actor, type EventData, type EventDraft, type EventType, eventData } from '#core/event/event.ts'

/** A draft that may be stored as it is. */
export interface Encoded {
  readonly actor: string
  readonly type: EventType
  readonly data: EventData
  /** `data` as JSON. */
  readonly json: string
}

/** Of one event's data as JSON. What is larger belongs into the blob store. */
export const maxEventBytes = 1024 * 1024

/** What JSON.stringify makes of U+0000 and of half a surrogate pair (and, harmlessly, of a backslash before the same letters). */
const unstorable = /\\u(?:0000|d[89a-f][0-9a-f]{2})/

/**
 * PostgreSQL's text and jsonb can hold neither U+0000 nor half of a surrogate pair. U+0000 becomes
 * U+2400 (␀) and a lone surrogate U+FFFD: visible, one for one, and the same for live readers as for
 * later ones. Exact bytes belong into the blob store.
 */
export const storableText = (text: string): string => text.replaceAll('\0', '\u2400').toWellFormed()

function rebuild(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value)
  if (Array.isArray(value)) return value.map(rebuild)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [storableText(key), rebuild(inner)]),
    )
  return value
}

/** `storableText` for every key and string of a JSON value. */
export const storable = <T>(value: T): T =>
  unstorable.test(JSON.stringify(value) ?? '') ? (rebuild(value) as T) : value

/** Throws `too_large` where the value is nested deeper than the stack allows. */
function toJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new ForgeError('too_large', 'an event is nested too deeply', { cause })
  }
}

/** Throws `internal` for a draft that the event table does not allow (a bug in Forge), `too_large`. */
export function encode(draft: EventDraft, maxBytes: number = maxEventBytes): Encoded {
  const schema: z.ZodType<EventData> | undefined = eventData[draft.type]
  if (schema === undefined)
    throw new ForgeError('internal', `there is no event type ${JSON.stringify(draft.type)}`)
  const parsed = schema.safeParse(draft.data)
  if (!parsed.success)
    throw new ForgeError('internal', `an event ${draft.type} is malformed: ${z.prettifyError(parsed.error)}`)
  const actor = Actor.safeParse(draft.actor)
  if (!actor.success)
    throw new ForgeError('internal', `an event has the actor ${JSON.stringify(draft.actor)}`)
  const json = toJson(parsed.data)
  const bytes = Buffer.byteLength(json)
  if (bytes > maxBytes)
    throw new ForgeError(
      'too_large',
      `an event ${draft.type} has ${bytes} bytes, and at most ${maxBytes} are stored`,
      { data: { bytes, maxBytes } },
    )
  const found = { actor: storableText(actor.data), type: draft.type }
  if (!unstorable.test(json)) return { ...found, data: parsed.data, json }
  const data = rebuild(parsed.data) as EventData
  return { ...found, data, json: JSON.stringify(data) }
}
