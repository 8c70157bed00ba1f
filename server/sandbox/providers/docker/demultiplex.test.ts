import { Duplex, duplexPair } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { demultiplexed } from './demultiplex.ts'

function frame(stream: number, content: string | Buffer): Buffer {
  const payload = Buffer.from(content)
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

async function all(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

describe('the stream of an exec', () => {
  test.for([1, 2, 7, 8, 9, 1000])(
    'gives standard output however it is cut: %i bytes a piece',
    async (size) => {
      const [near, far] = duplexPair()
      const bytes = Buffer.concat([
        frame(1, 'one '),
        frame(2, 'complaint'),
        frame(1, ''),
        frame(1, 'two '),
        frame(1, Buffer.alloc(100, 'x')),
      ])
      for (let at = 0; at < bytes.length; at += size) far.write(bytes.subarray(at, at + size))
      far.end()
      expect(await all(demultiplexed(near))).toBe(`one two ${'x'.repeat(100)}`)
    },
  )

  test('passes what is written on as it is, and its end', async () => {
    const [near, far] = duplexPair()
    const stream = demultiplexed(near)
    stream.end('to the guest')
    expect(await all(far)).toBe('to the guest')
  })

  test('holds the engine up when nobody reads', async () => {
    let pushed = 0
    const connection = new Duplex({
      read() {
        pushed += 1
        this.push(frame(1, Buffer.alloc(65_536)))
      },
      write: (_chunk, _encoding, done) => done(),
    })
    const stream = demultiplexed(connection)
    await new Promise((resolve) => stream.once('readable', resolve))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(pushed).toBeLessThan(50)
    stream.destroy()
    expect(connection.destroyed).toBe(true)
  })

  test('ends in an error when it is no frame', async () => {
    const [near, far] = duplexPair()
    far.write('HTTP/1.1 400 Bad Request')
    await expect(all(demultiplexed(near))).rejects.toThrow('no frame')
  })

  test('ends when the connection is cut', async () => {
    const [near, far] = duplexPair()
    far.write(frame(1, 'begun'))
    const read = all(demultiplexed(near))
    setTimeout(() => near.destroy(), 20)
    expect(await read).toBe('begun')
  })
})
