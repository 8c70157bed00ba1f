/**
 * Every stream is a snapshot, then events, then live events, and can be taken up again "after N".
 * `caught-up` marks where the stored part ends and the live part begins.
 */
export type StreamItem<T> = { kind: 'item'; item: T } | { kind: 'caught-up'; after: number }
