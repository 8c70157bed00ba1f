import { type ErrorShape, errorTable } from '#core/errors.ts'
import { safe } from './safe.ts'
import type { Style } from './style.ts'

/** The one place that words an error for people. Ends with a newline. */
export function wordError(error: ErrorShape, style: Style): string {
  const row = errorTable[error.code]
  const lines = [`${style.red('error:')} ${safe(error.message)}`]
  if (error.code === 'internal')
    lines.push(`  this is ${row.meaning}: please report it, with what you did and the server's log`)
  if (error.hint)
    lines.push(
      ...safe(error.hint)
        .split('\n')
        .map((line) => `  ${line}`),
    )
  return `${lines.join('\n')}\n`
}
