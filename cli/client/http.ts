import { Agent, type IncomingMessage, request } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import { errorFromBody } from './answer.ts'

interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string | Readable
  readonly signal?: AbortSignal
}

const unreachable = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'ENOTSOCK', 'EAGAIN'])

const failure = (error: NodeJS.ErrnoException, signal: AbortSignal | undefined): Error => {
  if (signal?.aborted) return new ForgeError('interrupted', 'interrupted', { cause: error })
  if (error instanceof ForgeError) return error
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new ForgeError('denied', `the server's socket is not open to you: ${error.message}`, {
      cause: error,
    })
  if (error.code !== undefined && unreachable.has(error.code))
    return new ForgeError('server_unreachable', `the server does not answer (${error.code})`, {
      cause: error,
    })
  return ForgeError.from(error)
}

/** HTTP on the server's unix socket. */
export class Http {
  readonly socket: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 })

  constructor(socket: string) {
    this.socket = socket
  }

  /** Resolves with a 2xx answer whose body is still to be read. Throws what the server says, `server_unreachable`, `interrupted`. */
  async open(options: HttpRequest): Promise<IncomingMessage> {
    const answer = await this.#send(options)
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    throw errorFromBody(status, await readBody(answer, options.signal))
  }

  /** The whole body of a 2xx answer. */
  async text(options: HttpRequest): Promise<string> {
    return readBody(await this.open(options), options.signal)
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(options: HttpRequest): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.socket,
        agent: this.#agent,
        method: options.method,
        path: options.path,
        headers: { host: 'forge', ...options.headers },
        ...(options.signal ? { signal: options.signal } : {}),
      })
      outgoing.on('response', resolve)
      outgoing.on('error', (error) => reject(failure(error, options.signal)))
      if (options.body === undefined || typeof options.body === 'string') outgoing.end(options.body)
      else
        pipeline(options.body, outgoing).catch((error: NodeJS.ErrnoException) => {
          // An answer that came before the body was read through says more than the broken pipe does.
          if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') reject(failure(error, options.signal))
        })
    })
  }
}

async function readBody(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    throw failure(error as NodeJS.ErrnoException, signal)
  }
}
