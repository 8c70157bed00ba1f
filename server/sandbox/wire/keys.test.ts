import ssh2 from 'ssh2'
import { expect, it } from 'vitest'
import { makeKeyPair } from './keys.ts'

it('makes only keys that can be read again', () => {
  const broken = Array.from({ length: 2000 }, makeKeyPair).filter(
    ({ privateKey }) => ssh2.utils.parseKey(privateKey) instanceof Error,
  )
  expect(broken).toEqual([])
})
