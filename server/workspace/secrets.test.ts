import { expect, it } from 'vitest'
import { withoutSecrets } from './clone.ts'

it.each([
  ['https://user:to%40ken@git.example/a', 'https://git.example/a'],
  ['https://token@git.example/a', 'https://git.example/a'],
  ['https://user:p@ss@git.example/a', 'https://git.example/a'],
  ['ssh://git@git.example/a', 'ssh://git@git.example/a'],
  ['ssh://git:secret@git.example/a', 'ssh://git@git.example/a'],
  ['git@git.example:a', 'git@git.example:a'],
  ['https://git.example/a@b', 'https://git.example/a@b'],
])('%s without its secrets is %s', (url, expected) => {
  expect(withoutSecrets(url)).toBe(expected)
})
