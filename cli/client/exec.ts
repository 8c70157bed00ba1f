import { once } from 'node:events'
import WebSocket from 'ws'
import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { channel, type ExecControl, ExecEnd } from '#core/sandbox/exec-frames.ts'
import { errorFromBody } from './answer.ts'

/** How a command ended; after all its output. */
export type ExecExit = Omit<Extract<ExecEnd, { kind: 'exit' }>, 'kind'>

interface ExecHandlers {
  /** The connection is paused while one of these has not resolved. */
  stdout(bytes: Buffer): Promise<void>
  stderr(bytes: Buffer): Promise<void>
}

export interface ExecClient {
  /** Resolves when the bytes are on their way and more may follow. */
  stdin(bytes: Buffer): Promise<void>
  endStdin(): void
  resize(size: { columns: number; rows: number }): void
  signal(signal: 'TERM' | 'KILL' | 'INT' | 'HUP'): void
  close(): void
  /** Rejects with what the server says, or `server_unreachable` when the connection breaks. */
  readonly exit: Promise<ExecExit>
}

const maxBufferedBytes = 1024 * 1024
/** Below the server's message limit, whatever the input's chunks are. */
const maxMessageBytes = 256 * 1024

/** Opens one command or terminal in a sandbox (core/sandbox/exec-frames.ts). Throws what the server answers. */
export async function openExec(
  socket: string,
  request: { sandbox: SandboxId; start: Omit<Extract<ExecControl, { kind: 'start' }>, 'kind'> },
  handlers: ExecHandlers,
): Promise<ExecClient> {
  const ws = new WebSocket(`ws+unix:${socket}:/v1/sandboxes/${request.sandbox}/exec`, {
    perMessageDeflate: false,
    maxPayload: 64 * 1024 * 1024,
  })
  const exit = receive(ws, handlers)
  // Whoever opens it learns of a failure below; one that comes later is for whoever awaits `exit`.
  exit.catch(() => {})
  await Promise.race([once(ws, 'open'), exit])
  const control = (message: ExecControl) =>
    ws.send(frame(channel.control, Buffer.from(JSON.stringify(message))))
  control({ kind: 'start', ...request.start })
  return {
    async stdin(bytes) {
      for (let at = 0; at < bytes.length; at += maxMessageBytes)
        await send(ws, frame(channel.stdin, bytes.subarray(at, at + maxMessageBytes)))
    },
    endStdin: () => ws.readyState === WebSocket.OPEN && ws.send(frame(channel.stdin, Buffer.alloc(0))),
    resize: (size) => ws.readyState === WebSocket.OPEN && control({ kind: 'resize', ...size }),
    signal: (signal) => ws.readyState === WebSocket.OPEN && control({ kind: 'signal', signal }),
    close: () => ws.terminate(),
    exit,
  }
}

const frame = (to: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([to]), bytes])

async function send(ws: WebSocket, bytes: Buffer): Promise<void> {
  if (ws.readyState !== WebSocket.OPEN) return
  const sent = new Promise<void>((resolve) => ws.send(bytes, () => resolve()))
  if (ws.bufferedAmount > maxBufferedBytes) await sent
}

function receive(ws: WebSocket, handlers: ExecHandlers): Promise<ExecExit> {
  return new Promise((resolve, reject) => {
    /** Output in order; a message is handled when the one before has been written. */
    let written: Promise<void> = Promise.resolve()
    let waiting = 0
    ws.on('message', (data: Buffer) => {
      const [kind] = data
      const bytes = data.subarray(1)
      if (kind === channel.control) {
        written.then(() => settle(bytes, resolve, reject), reject)
        return
      }
      waiting++
      ws.pause()
      written = written
        .then(() => (kind === channel.stdout ? handlers.stdout(bytes) : handlers.stderr(bytes)))
        .finally(() => {
          if (--waiting === 0) ws.resume()
        })
      written.catch((error) => {
        ws.terminate()
        reject(error)
      })
    })
    ws.on('unexpected-response', (_request, answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        reject(errorFromBody(answer.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))),
      )
    })
    ws.on('error', (error) =>
      reject(
        new ForgeError('server_unreachable', `the server does not answer: ${error.message}`, {
          cause: error,
        }),
      ),
    )
    ws.on('close', () =>
      written.then(
        () => reject(new ForgeError('server_unreachable', 'the connection to the server broke')),
        reject,
      ),
    )
  })
}

function settle(bytes: Buffer, resolve: (exit: ExecExit) => void, reject: (error: Error) => void): void {
  const end = ExecEnd.safeParse(JSON.parse(bytes.toString('utf8')))
  if (!end.success) reject(new ForgeError('internal', 'the server sent an end that is none'))
  else if (end.data.kind === 'error') reject(ForgeError.fromShape(end.data.error))
  else resolve(end.data)
}
