import { describe, expect, it } from 'vitest'
import type { RunSource } from '#core/run/run.ts'
import { repositoryHost } from './repository-host.ts'

const url = (value: string): RunSource => ({ kind: 'url', url: value })

describe('repositoryHost', () => {
  it.each([
    ['https://git.example/a.git', ['git.example:443']],
    ['http://git.example:8080/a.git', ['git.example:8080']],
    ['ssh://git@git.example/a.git', ['git.example:22']],
    ['git@git.example:a/b.git', ['git.example:22', 'git.example:443']],
    ['git://git.example/a.git', ['git.example:9418']],
    ['/srv/a.git', []],
  ])('%s', (value, expected) => {
    expect(repositoryHost(url(value))).toEqual(expected)
  })

  it('knows none for a run without a repository', () => {
    expect(repositoryHost({ kind: 'none' })).toEqual([])
  })
})
