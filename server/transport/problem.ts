import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { ForgeError } from '#core/errors.ts'

/** RFC 9457 problem details; `forge` is the whole ErrorShape. */
export function problemOf(thrown: unknown): { status: number; body: string } {
  const error = ForgeError.from(thrown)
  const { http } = error.row
  const body = JSON.stringify({
    type: `urn:forge:error:${error.code}`,
    title: error.row.meaning,
    status: http,
    detail: error.message,
    forge: error.toShape(),
  })
  return { status: http, body }
}

/** Answers an HTTP upgrade that cannot be served; the socket has no response object yet. */
export function refuseUpgrade(socket: Duplex, thrown: unknown): void {
  // Node's HTTP server listens no more once it has handed the socket over.
  socket.on('error', () => undefined)
  const { status, body } = problemOf(thrown)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
