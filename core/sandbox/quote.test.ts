import { expect, test } from 'vitest'
import { quote } from './quote.ts'

test('words stay words: no assignment, no expansion, no second command', () => {
  expect(quote(['A=b', 'make'])).toBe("'A=b' make")
  expect(quote(['ls', '-l', '/a/b.c', 'x@1:2+3%4,5'])).toBe('ls -l /a/b.c x@1:2+3%4,5')
  expect(quote(['echo', '', '$HOME', 'a b', '~', '*', ';', 'x\ny', '=ls'])).toBe(
    "echo '' '$HOME' 'a b' '~' '*' ';' 'x\ny' '=ls'",
  )
  expect(quote(["it's", "'"])).toBe("'it'\\''s' ''\\'''")
})

test('a NUL, which no argument can hold, is refused', () => {
  expect(() => quote(['a\0b'])).toThrow(/NUL/)
})
