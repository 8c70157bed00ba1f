import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { connectVia, listen, proxyWith, readAll, readUntil, tcpServer } from './testkit.ts'

test('CONNECT joins the client to an allowed server', async () => {
  const port = await tcpServer((socket) => socket.on('data', (data) => socket.write(`echo ${data}`)))
  const { open, decisions } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  expect(await connectVia(stream, `127.0.0.1:${port}`)).toBe('HTTP/1.1 200 Connection established\r\n\r\n')
  stream.write('hello')
  expect(await readUntil(stream, 'hello')).toBe('echo hello')
  expect(decisions).toEqual([
    {
      host: '127.0.0.1',
      port,
      via: 'connect',
      allowed: true,
      rule: `127.0.0.1:${port}`,
      address: '127.0.0.1',
    },
  ])
})

test('what is not on the list is refused with the rule and the way to allow it', async () => {
  const { open, decisions } = proxyWith(['registry.npmjs.org:443'])
  const stream = open()
  stream.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')
  const text = await readAll(stream)
  expect(text).toMatch(/^HTTP\/1\.1 403 /)
  expect(text).toContain('X-Forge-Egress: refused; rule=not_allowed; target="example.com:443"')
  expect(text).toContain('forge run --allow example.com:443')
  expect(text).toContain('forge config set egress.allow')
  expect(decisions).toMatchObject([
    { host: 'example.com', port: 443, via: 'connect', allowed: false, rule: 'not_allowed' },
  ])
})

test('plain HTTP goes through with its body, and the connection is kept', async () => {
  const seen: string[] = []
  const port = await listen(
    createServer((request, response) => {
      request.setEncoding('utf8')
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${body}`)
        response.end(`got ${body}`)
      })
    }),
  )
  const { open, decisions } = proxyWith([`127.0.0.1:${port}`])
  const stream = open()
  for (const body of ['one', 'two!']) {
    stream.write(
      `POST http://127.0.0.1:${port}/a?b HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    expect(await readUntil(stream, body)).toContain('HTTP/1.1 200 OK')
  }
  expect(seen).toEqual(['POST /a?b one', 'POST /a?b two!'])
  expect(decisions).toHaveLength(1)
})
