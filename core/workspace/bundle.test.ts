import { describe, expect, it } from 'vitest'
import { maxHeaderBytes, parseBundleHeader, shallowCommits, shallowPrefix } from './bundle.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const one = '1'.repeat(40)
const two = '2'.repeat(40)

describe('parseBundleHeader', () => {
  it('reads prerequisites, refs and where the pack begins', () => {
    const header = parseBundleHeader(
      bytes(`# v2 git bundle\n-${one} subject\n${two} refs/heads/x\n\nPACK\n\n`),
    )
    expect(header).toEqual({
      objectFormat: 'sha1',
      prerequisites: [one],
      refs: new Map([['refs/heads/x', two]]),
      packOffset: 121,
    })
  })

  it('waits for the whole header, within bounds', () => {
    expect(parseBundleHeader(bytes(`# v2 git bundle\n${two} refs/heads/x\n`))).toBeNull()
    expect(() => parseBundleHeader(new Uint8Array(maxHeaderBytes))).toThrow('does not end')
  })

  it.each([
    ['another file', 'PK\n\n'],
    ['an unknown capability', `# v3 git bundle\n@filter=blob:none\n${one} refs/heads/x\n\n`],
    ['a malformed line', `# v2 git bundle\nrefs/heads/x ${one}\n\n`],
    ['a ref without a name', `# v2 git bundle\n${one}\n\n`],
  ])('refuses %s', (_, text) => {
    expect(() => parseBundleHeader(bytes(text))).toThrow(
      expect.objectContaining({ code: 'repository_invalid' }),
    )
  })
})

it('believes a cut only where the bundle holds that commit', () => {
  const header = (name: string) =>
    parseBundleHeader(bytes(`# v2 git bundle\n${one} ${shallowPrefix}${name}\n\n`))
  expect(shallowCommits(header(one) ?? expect.fail())).toEqual([one])
  expect(() => shallowCommits(header(two) ?? expect.fail())).toThrow('cut short')
})
