import { byteSize, oneLine } from '../output.ts'

type Replaced =
  | { readonly done: true; readonly content: Buffer; readonly count: number; readonly line: number }
  /** `why` is for the model: what was found instead. */
  | { readonly done: false; readonly why: string }

interface Replacement {
  readonly old: string
  readonly new: string
  readonly all: boolean
  /** Bytes that the file may have after it. */
  readonly maxBytes: number
}

/**
 * Works on bytes, so that whatever else is in the file stays as it is. Texts with plain line ends are matched
 * to a file whose lines end with CRLF.
 */
export function replaceIn(content: Buffer, asked: Replacement): Replaced {
  const crlf = usesCrlf(content)
  const native = (text: string) => Buffer.from(crlf ? text.replace(/\r?\n/g, '\r\n') : text)
  const old = native(asked.old)
  const found = occurrences(content, old)
  const [first] = found
  if (first === undefined) return { done: false, why: notFound(content, asked.old) }
  if (found.length > 1 && !asked.all) {
    const lines = found.slice(0, 10).map((at) => lineOf(content, at))
    const more = found.length > 10 ? ', …' : ''
    const where = `at lines ${lines.join(', ')}${more}`
    return {
      done: false,
      why: `old occurs ${found.length} times, ${where}: take more lines around it into old, or set all to replace every one`,
    }
  }
  const fresh = native(asked.new)
  // Asked before the parts are put together: a small edit can make a huge file.
  if (content.length + found.length * (fresh.length - old.length) > asked.maxBytes)
    return { done: false, why: `it would become larger than ${byteSize(asked.maxBytes)}` }
  const parts: Buffer[] = []
  let from = 0
  for (const at of found) {
    parts.push(content.subarray(from, at), fresh)
    from = at + old.length
  }
  parts.push(content.subarray(from))
  return { done: true, content: Buffer.concat(parts), count: found.length, line: lineOf(content, first) }
}

/** Most of its lines end that way. */
function usesCrlf(content: Buffer): boolean {
  const crlf = occurrences(content, Buffer.from('\r\n')).length
  return crlf > 0 && crlf * 2 > occurrences(content, Buffer.from('\n')).length
}

function occurrences(content: Buffer, text: Buffer): number[] {
  const found: number[] = []
  for (let at = content.indexOf(text); at !== -1; at = content.indexOf(text, at + text.length)) found.push(at)
  return found
}

function lineOf(content: Buffer, at: number): number {
  let line = 1
  for (let next = content.indexOf(10); next !== -1 && next < at; next = content.indexOf(10, next + 1)) line++
  return line
}

/** Says what stands nearest to what was looked for. */
function notFound(content: Buffer, old: string): string {
  const lines = content.toString('utf8').split(/\r?\n/)
  const wanted = old.split(/\r?\n/).find((line) => line.trim() !== '') ?? old
  const bare = squeeze(wanted)
  const same = lines.findIndex((line) => bare !== '' && squeeze(line) === bare)
  if (same !== -1) {
    const differs = lines[same]?.includes(wanted)
      ? 'the lines after it differ'
      : 'its white space differs from the first line of old'
    return `old does not occur. Line ${same + 1} comes nearest, but ${differs}: ${JSON.stringify(lines[same])}`
  }
  const nearest = mostAlike(lines, bare)
  return nearest === -1
    ? 'old does not occur, and no line of the file is much like its first one'
    : `old does not occur. Line ${nearest + 1} comes nearest: ${JSON.stringify(oneLine(lines[nearest] ?? '', 300))}`
}

const squeeze = (line: string): string => line.replace(/\s+/g, ' ').trim()

/** By the share of common words; -1 when none has half of them. */
function mostAlike(lines: readonly string[], wanted: string): number {
  const words = new Set(wanted.match(/\w+/g) ?? [])
  let best = -1
  let most = 0.5
  for (const [index, line] of lines.entries()) {
    const own = new Set(line.slice(0, 1000).match(/\w+/g) ?? [])
    const common = [...words].filter((word) => own.has(word)).length
    const share = common / Math.max(words.size, own.size, 1)
    if (share > most) {
      most = share
      best = index
    }
  }
  return best
}
