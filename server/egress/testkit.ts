import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { onTestFinished } from 'vitest'
import { type EgressDecision, egressPolicy } from './policy.ts'
import { type EgressOptions, egressProxy } from './proxy.ts'

/** A plain Duplex, as an SSH channel is one: none of a socket's own methods. */
export function connection(handle: (stream: Duplex) => void): Duplex {
  const [near, far] = duplexPair()
  handle(far)
  near.on('error', () => undefined)
  return near
}

export function proxyWith(allow: string[], options: Partial<EgressOptions> = {}) {
  const decisions: EgressDecision[] = []
  const proxy = egressProxy({
    policy: egressPolicy(allow),
    onDecision: (decision) => decisions.push(decision),
    ...options,
  })
  onTestFinished(() => proxy.close())
  return { proxy, decisions, open: () => connection((stream) => proxy.handle(stream)) }
}

/** A TCP server on the loopback; gives its port. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Its sockets stay open for writing after the other side has ended. */
export const tcpServer = (onSocket: (socket: Socket) => void): Promise<number> =>
  listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      onSocket(socket)
    }),
  )

/** A dial that goes to `port` on the loopback, whatever address was chosen, and notes what was asked for. */
export function dialTo(port: number) {
  const dialled: string[] = []
  const dial: EgressOptions['dial'] = async (to) => {
    dialled.push(`${to.address}:${to.port}`)
    const socket = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }
  return { dial, dialled }
}

/** Everything until the stream ends. */
export async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (!stream.readableEnded && !stream.destroyed)
    await Promise.race([once(stream, 'end'), once(stream, 'close')])
  return Buffer.concat(chunks).toString('latin1')
}

/** Reads until `marker` has come; what follows it stays in the stream. */
export async function readUntil(stream: Duplex, marker: string): Promise<string> {
  let text = ''
  while (!text.includes(marker)) {
    const chunk = stream.read() as Buffer | null
    if (chunk) text += chunk.toString('latin1')
    else if (stream.readableEnded || stream.destroyed) throw new Error(`ended after ${JSON.stringify(text)}`)
    else await Promise.race([once(stream, 'readable'), once(stream, 'end'), once(stream, 'close')])
  }
  const end = text.indexOf(marker) + marker.length
  if (end < text.length) stream.unshift(Buffer.from(text.slice(end), 'latin1'))
  return text.slice(0, end)
}

/** Sends CONNECT and gives the head of the answer. */
export async function connectVia(stream: Duplex, authority: string, head = ''): Promise<string> {
  stream.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${head}`)
  return readUntil(stream, '\r\n\r\n')
}
