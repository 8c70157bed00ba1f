import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import { makeStyle, wantsColour } from './style.ts'
import { columnWidths, shorten, table } from './table.ts'

const plain = makeStyle(false)

describe('a table', () => {
  const columns = [
    { title: 'ID' },
    { title: 'PROMPT', flexible: true },
    { title: 'COST', align: 'right' as const },
  ]
  const rows = [
    ['run_1', 'mend the failing test in the parser, please', '$0.10'],
    ['run_2', '日本語のプロンプト', '$12.00'],
  ]

  test('lines its columns up', () => {
    expect(table(columns, rows, { width: 80, head: plain.bold, measure: stringWidth })).toBe(
      [
        'ID     PROMPT                                         COST',
        'run_1  mend the failing test in the parser, please   $0.10',
        'run_2  日本語のプロンプト                           $12.00',
        '',
      ].join('\n'),
    )
  })

  test.each([20, 30, 40, 80])('fits %i columns', (width) => {
    const drawn = table(columns, rows, { width, head: plain.bold, measure: stringWidth })
    for (const line of drawn.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(Math.max(width, 20))
  })

  test('gives up the flexible column first', () => {
    expect(columnWidths([10, 50, 6], 40, 1)).toEqual([10, 20, 6])
    expect(columnWidths([10, 20, 6], 12, 1)).toEqual([4, 4, 4])
  })
})

test('shortens by terminal cells, not by characters', () => {
  expect(shorten('日本語', 5, stringWidth)).toBe('日本…')
  expect(shorten('日本語', 4, stringWidth)).toBe('日…')
  expect(shorten('abc', 3, stringWidth)).toBe('abc')
})

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ TERM: 'dumb' }, true, false],
  [{ NO_COLOR: '1' }, true, false],
  [{ NO_COLOR: '' }, true, true],
  [{ FORCE_COLOR: '1' }, false, true],
  [{ FORCE_COLOR: '0' }, true, false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
])('colour with %o on a terminal (%s): %s', (env, tty, expected) => {
  expect(wantsColour(env, tty)).toBe(expected)
})
