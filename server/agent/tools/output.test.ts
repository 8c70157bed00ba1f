import { expect, test } from 'vitest'
import { byteSize, cleanOutput, joinEnds, lastLines, oneLine, shortened } from './output.ts'

test('cleans what terminals are told', () => {
  expect(cleanOutput('\u001b[1;31mred\u001b[0m \u001b]8;;http://x\u0007link\u001b]8;;\u0007')).toBe(
    'red link',
  )
  expect(cleanOutput('1%\r2%\r3%\r\ndone\r')).toBe('3%\ndone')
  expect(cleanOutput('a\u0000b\u0008c\u009bd\te')).toBe('abc' + 'd\te')
  expect(cleanOutput('lone \ud800 half')).toBe('lone \ufffd half')
})

test('shows the ends of what is long, at whole lines', () => {
  const rows = Array.from({ length: 10_000 }, (_, index) => `row ${index}`).join('\n')
  const text = shortened(rows)
  expect(text.length).toBeLessThan(30_100)
  for (const line of text.split('\n')) expect(line).toMatch(/^(row \d+|\[… the middle is left out …\])$/)
  expect(shortened('short')).toBe('short')
  expect(joinEnds('x'.repeat(50_000), 'y'.repeat(50_000))).toMatch(/^x{10000}\n\[.*\]\ny{20000}$/)
})

test('last lines fit into bytes and break no character', () => {
  expect(lastLines('a\nb\nc', 100)).toBe('a\nb\nc')
  expect(lastLines(`${'x'.repeat(50)}\nthis is the last line`, 23)).toBe('this is the last line')
  expect(lastLines(`${'x'.repeat(50)}\nend`, 12)).toBe('xxxxxxxx\nend')
  expect(lastLines('ü'.repeat(100), 11)).toBe('ü'.repeat(5))
})

test('sizes and single lines for people', () => {
  expect([0, 999, 1000, 3_100_000, 1.5e9].map(byteSize)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '3.1 MB',
    '1.5 GB',
  ])
  expect(oneLine(' a\n\n b ', 10)).toBe('a b')
  expect(oneLine('abcdef', 4)).toBe('abc…')
})
