import { expect, it } from 'vitest'
import { pathProblem } from './path.ts'

it.each([
  '../x',
  'a/../b',
  './a',
  'a//b',
  '/etc/passwd',
  '',
  '.git/config',
  'sub/.git/hooks/x',
  '.GIT',
  '.gIt/config',
  'git~1/config',
  'GIT~1',
  '.g\u200cit/config',
  '\ufeff.git',
  '.git. ',
  '.git::$INDEX_ALLOCATION/config',
  'a\\.git\\config',
  'a\0b',
])('%j must not be written', (path) => {
  expect(pathProblem(path)).not.toBeNull()
})

it.each([
  'a',
  '.gitignore',
  '.github/workflows/ci.yml',
  'git',
  'a.git/x',
  '.gitmodules',
  'x..y',
  '...',
  'a b/"c"',
])('%j is an ordinary name', (path) => {
  expect(pathProblem(path)).toBeNull()
})
