import type { ServerResponse } from 'node:http'
import { writeTo } from '../write.ts'
import { type Dialect, encodeFrame, type Frame } from './frames.ts'
import type { Fault, Turn } from './script.ts'

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_scripted' })
  response.end(JSON.stringify(body))
}

/** Endless text needs an open text block before it. */
const framesBefore = (fault: Fault): number => ('afterEvents' in fault ? fault.afterEvents : 3)

const needsText = (fault: Fault | undefined): boolean => fault?.kind === 'endless' || fault?.kind === 'huge'

async function playFault(response: ServerResponse, fault: Fault, dialect: Dialect): Promise<void> {
  switch (fault.kind) {
    case 'cut':
      // Gives what was written time to leave before the reset.
      await new Promise((resolve) => response.write('', resolve))
      response.destroy()
      return
    case 'end':
      response.end()
      return
    case 'error':
      response.end(encodeFrame(dialect.errorFrame(fault.type, fault.message)))
      return
    case 'garbage':
      response.end('event: content_block_delta\ndata: {"type": "content_bl\n\n')
      return
    case 'huge':
      await writeTo(response, encodeFrame(dialect.textFrame('x'.repeat(fault.bytes))))
      response.end()
      return
    case 'endless': {
      const text = encodeFrame(dialect.textFrame('x'.repeat(fault.bytesPerEvent)))
      while (await writeTo(response, text)) await new Promise(setImmediate)
      return
    }
    case 'silence':
    case 'status':
      return
  }
}

interface Playing {
  readonly turn: Turn
  readonly dialect: Dialect
  readonly model: string
  readonly stream: boolean
  /** Leaves out single events, for example a usage that was not asked for. */
  readonly keep: (frame: Frame) => boolean
}

/** Sends one turn with its fault. */
export async function play(response: ServerResponse, playing: Playing): Promise<void> {
  const { dialect, model } = playing
  const { fault } = playing.turn
  const turn = needsText(fault) ? { ...playing.turn, text: playing.turn.text ?? 'x' } : playing.turn
  if (fault?.kind === 'status') {
    if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter)
    return sendJson(response, fault.status, dialect.errorBody(fault.status, fault.message, fault.type))
  }
  if (fault?.kind === 'silence' && fault.afterEvents === 0) return
  if (!playing.stream) return sendJson(response, 200, dialect.whole(turn, model))
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'request-id': 'req_scripted',
  })
  const frames = dialect.frames(turn, model).filter(playing.keep)
  const sent = fault === undefined ? frames : frames.slice(0, framesBefore(fault))
  for (const frame of sent) if (!(await writeTo(response, encodeFrame(frame)))) return
  if (fault === undefined) response.end()
  else await playFault(response, fault, dialect)
}
