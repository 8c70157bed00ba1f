import { describe, expect, it } from 'vitest'
import { concealer } from './concealer.ts'

const secret = 'sk-abcab-abcabc'
const conceal = (chunks: readonly string[], hidden = secret): string => {
  const filter = concealer(hidden)
  const passed = chunks.map((chunk) => filter.push(Buffer.from(chunk)))
  return Buffer.concat([...passed, filter.end()]).toString()
}

describe('taking a secret out of a stream', () => {
  const whole = `begin ${secret}${secret} sk-abcab-abca end sk-abc`
  const clean = whole.replaceAll(secret, '*'.repeat(secret.length))

  it('finds it wherever the stream is cut', () => {
    for (let at = 0; at <= whole.length; at++)
      expect(conceal([whole.slice(0, at), whole.slice(at)])).toBe(clean)
    expect(conceal([...whole])).toBe(clean)
  })

  it('holds nothing back that cannot be its beginning', () => {
    const filter = concealer(secret)
    expect(filter.push(Buffer.from('data: {}\n\n')).toString()).toBe('data: {}\n\n')
    expect(filter.push(Buffer.from('data: sk-x')).toString()).toBe('data: sk-x')
  })

  it('passes all on when there is no key, or one too short to be one', () => {
    expect(conceal(['a'], '')).toBe('a')
    expect(conceal(['a none b'], 'none')).toBe('a none b')
  })
})
