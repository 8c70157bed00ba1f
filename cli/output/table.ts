import type { Paint } from './style.ts'
import type { Measure } from './width.ts'

interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Shortened first when the terminal is narrow; one column at most. */
  readonly flexible?: boolean
  readonly paint?: (cell: string) => string
}

const ascii = /^[ -~]*$/

/** Shortens to `width` terminal cells, with an ellipsis where something was cut. */
export function shorten(text: string, width: number, measure: Measure): string {
  if (measure(text) <= width) return text
  if (width <= 0) return ''
  // Segmentation loads ICU's data, which a start of the program would feel.
  if (ascii.test(text)) return `${text.slice(0, width - 1)}…`
  let kept = ''
  let used = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    used += measure(segment)
    if (used > width - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** The widths that make a row fit `total` cells: the flexible column gives way first, then the widest, to 4 cells at least. */
export function columnWidths(natural: number[], total: number, flexible: number): number[] {
  const widths = [...natural]
  const over = () => widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)) - total
  const shrink = (index: number, least: number): void => {
    const width = widths[index] ?? 0
    widths[index] = Math.max(Math.min(width, least), width - Math.max(0, over()))
  }
  if (flexible >= 0) shrink(flexible, 12)
  while (over() > 0) {
    const widest = Math.max(...widths)
    if (widest <= 4) break
    shrink(widths.indexOf(widest), widest - 1)
  }
  return widths
}

/** Cells must be safe and without colour; columns are painted after they were fitted. Ends with a newline. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { width: number; head: Paint; measure: Measure },
): string {
  const { measure } = options
  const natural = columns.map((column, index) =>
    Math.max(measure(column.title), ...rows.map((row) => measure(row[index] ?? ''))),
  )
  const widths = columnWidths(
    natural,
    options.width,
    columns.findIndex((column) => column.flexible),
  )
  const pad = (text: string, width: number, align: Column['align']): string => {
    const space = ' '.repeat(Math.max(0, width - measure(text)))
    return align === 'right' ? space + text : text + space
  }
  const line = (cells: readonly string[], paint: (cell: string, column: Column) => string): string =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0
        const cell = shorten(cells[index] ?? '', width, measure)
        const last = index === columns.length - 1 && column.align !== 'right'
        return paint(last ? cell : pad(cell, width, column.align), column)
      })
      .join('  ')
      .trimEnd()
  const head = options.head(
    line(
      columns.map((column) => column.title),
      (cell) => cell,
    ),
  )
  const body = rows.map((row) => line(row, (cell, column) => column.paint?.(cell) ?? cell))
  return `${[head, ...body].join('\n')}\n`
}
