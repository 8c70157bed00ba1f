import { expect, test } from 'vitest'
import { safe, safeLine } from './safe.ts'

const esc = String.fromCharCode(27)

test.each([
  ['colour', `${esc}[31mred${esc}[0m`, 'red'],
  ['a window title', `a${esc}]0;owned\u0007b`, 'ab'],
  ['the clipboard', `a${esc}]52;c;aGk=\u0007b`, 'ab'],
  ['a hyperlink', `${esc}]8;;http://evil${esc}\\text${esc}]8;;${esc}\\`, 'text'],
  ['a carriage return that overwrites', 'rm -rf /\rls', 'rm -rf /\nls'],
  ['eight-bit controls', 'a\u009b31mb', 'ab'],
  ['bell, backspace, delete, nul', 'a\u0007\u0008\u007f\u0000b', 'ab'],
  ['bidirectional override', 'user\u202e\u2066 // admin', 'user // admin'],
  ['tag characters', 'a\u{e0041}\u{e007f}b', 'ab'],
  ['zero width and line separators', 'a\u200b\u2028\ufeffb', 'ab'],
  ['a lone surrogate', 'a\ud800b', 'ab'],
])('takes away %s', (_name, hostile, clean) => {
  expect(safe(hostile)).toBe(clean)
})

test('an escape sequence cut in two by streaming does nothing', () => {
  const joined = safe(`a${esc}[3`) + safe('1mb')
  expect(joined).not.toContain(esc)
})

test('keeps what people write', () => {
  const text = 'naïve 日本語 👩‍👩‍👧 — “ok”\n\tindented'
  expect(safe(text)).toBe(text)
})

test('puts text on one line', () => {
  expect(safeLine('  a\n\tb \r\n c ')).toBe('a b c')
})
