import { expect, test } from 'vitest'
import { serverSentEvents } from './sse.ts'

const text =
  'event: connected\ndata: {}\n\n\ndata: {"a":"\u2028日本"}\nid: 3\n\n\n: comment\n\nevent: return\r\ndata: \r\n\r\n'
const expected = [
  { event: 'connected', data: '{}' },
  { event: 'message', data: '{"a":"\u2028日本"}' },
  { event: 'return', data: '' },
]

test.each([1, 2, 3, 7, 1000])('reads a stream in chunks of %i bytes', async (size) => {
  const bytes = Buffer.from(text)
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const events = []
  for await (const event of serverSentEvents(chunks())) events.push(event)
  expect(events).toEqual(expected)
})

test('an event that the connection cut off is not given', async () => {
  async function* chunks() {
    yield Buffer.from('data: 1\n\ndata: 2\n')
  }
  const events = []
  for await (const event of serverSentEvents(chunks())) events.push(event.data)
  expect(events).toEqual(['1'])
})
