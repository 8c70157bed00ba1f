import { stripVTControlCharacters } from 'node:util'

/**
 * Control characters, and the invisible ones that reorder or hide text (bidirectional marks and overrides,
 * zero-width spaces, tags), but for the joiners that emoji and some scripts need. Newline and tab stay.
 */
const hostile = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Text that came from a server, an agent or a repository, fit for a terminal. Keeps newlines and tabs. */
export const safe = (text: string): string =>
  stripVTControlCharacters(text).replace(/\r\n?/g, '\n').replace(hostile, '')

/** The same on one line, with runs of white space as one space. */
export const safeLine = (text: string): string => safe(text).replace(/\s+/g, ' ').trim()
