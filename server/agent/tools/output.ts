import { stripVTControlCharacters } from 'node:util'

/** Characters of one long output that the model is shown: of the end twice as much, as errors come last. */
export const shownHead = 10_000
export const shownTail = 20_000

/**
 * Text for the model: invalid UTF-8 replaced, escape sequences and control characters gone, and of a line
 * that was drawn over with carriage returns only what stood there in the end.
 */
export function cleanOutput(bytes: Buffer | string): string {
  const text = stripVTControlCharacters(bytes.toString('utf8')).replaceAll('\r\n', '\n')
  const drawn = text.includes('\r') ? text.split('\n').map(lastDrawn).join('\n') : text
  return drawn
    .replace(/\p{Cc}/gu, (character) => (character === '\n' || character === '\t' ? character : ''))
    .toWellFormed()
}

/** The text of a file as it stands there, but for what the ledger cannot hold and for the way its lines end. */
export function fileText(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\r\n', '\n').replaceAll('\0', '\u2400')
}

function lastDrawn(line: string): string {
  return line.split('\r').findLast((part) => part !== '') ?? ''
}

/** `text`, or its two ends when it is too long to be shown whole. */
export const shortened = (text: string): string =>
  text.length <= shownHead + shownTail ? text : joinEnds(text, text)

/** The beginning of `head` and the end of `tail`, which belong to one longer text. */
export function joinEnds(head: string, tail: string): string {
  const start = cutAtLine(head.slice(0, shownHead), 'end')
  const end = cutAtLine(tail.slice(-shownTail), 'start')
  return `${start}\n[… the middle is left out …]\n${end}`
}

/** Drops the broken line at that side, unless that would cost more than a fifth. */
function cutAtLine(text: string, side: 'start' | 'end'): string {
  const at = side === 'end' ? text.lastIndexOf('\n') : text.indexOf('\n') + 1
  const kept = side === 'end' ? text.slice(0, Math.max(at, 0)) : text.slice(at)
  return (kept.length >= text.length * 0.8 ? kept : text).toWellFormed()
}

/** The last whole lines that fit into so many bytes of UTF-8. */
export function lastLines(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  let start = bytes.length - maxBytes
  while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  return cutAtLine(bytes.subarray(start).toString('utf8'), 'start')
}

/** At most `max` characters on one line. */
export function oneLine(text: string, max: number): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return (line.length <= max ? line : `${line.slice(0, max - 1)}…`).toWellFormed()
}

export const thousands = (value: number): string => value.toLocaleString('en-US')

export function byteSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 'bytes'
  for (const next of units) {
    if (value < 1000) break
    value /= 1000
    unit = next
  }
  return `${value.toFixed(1)} ${unit}`
}
