import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { anthropicDialect } from './anthropic.ts'
import type { Dialect, Frame } from './frames.ts'
import { chatDialect } from './openai-chat.ts'
import { responsesDialect } from './openai-responses.ts'
import { play, sendJson } from './play.ts'
import { readScriptedRequest } from './request.ts'
import { type Api, playOf, type ReactiveScript, type ScriptedRequest, type ScriptInput } from './script.ts'

export interface ScriptedModel {
  /** `http://127.0.0.1:PORT`: an Anthropic base URL as it is, an OpenAI one with `/v1` behind it. */
  readonly url: string
  /** The requests for answers, oldest first; grows while the server runs. */
  readonly requests: readonly ScriptedRequest[]
  close(): Promise<void>
}

interface ScriptedModelOptions {
  /** Default: any free one. */
  readonly port?: number
  /** What `GET /v1/models` lists. */
  readonly models?: readonly string[]
}

const apis: Record<string, { api: Api; dialect: Dialect }> = {
  '/v1/messages': { api: 'anthropic', dialect: anthropicDialect },
  '/v1/chat/completions': { api: 'chat', dialect: chatDialect },
  '/v1/responses': { api: 'responses', dialect: responsesDialect },
}

const wantsUsage = (body: Record<string, unknown>): boolean => {
  const options = body.stream_options
  return typeof options === 'object' && options !== null && 'include_usage' in options
    ? options.include_usage === true
    : false
}

const keepFrame =
  (request: ScriptedRequest) =>
  (frame: Frame): boolean =>
    request.api !== 'chat' || wantsUsage(request.body) || !frame.data.includes('"choices":[]')

const modelsBody = (models: readonly string[], anthropic: boolean) =>
  anthropic
    ? {
        data: models.map((id) => ({
          type: 'model',
          id,
          display_name: id,
          created_at: '2025-01-01T00:00:00Z',
        })),
        has_more: false,
        first_id: models[0] ?? null,
        last_id: models.at(-1) ?? null,
      }
    : {
        object: 'list',
        data: models.map((id) => ({ id, object: 'model', created: 1, owned_by: 'scripted' })),
      }

/** Roughly four characters a token, as a stand-in for counting. */
const countBody = (body: unknown) => ({ input_tokens: Math.ceil(JSON.stringify(body).length / 4) })

async function readJson(request: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse((await buffer(request)).toString('utf8'))
  } catch {
    return undefined
  }
}

/**
 * A model server on loopback that speaks Anthropic Messages, OpenAI Chat Completions and OpenAI Responses
 * and answers from a script. For tests, benchmarks and the demonstration: it asks for no credentials.
 */
export async function startScriptedModel(
  script: ScriptInput | ReactiveScript,
  options: ScriptedModelOptions = {},
): Promise<ScriptedModel> {
  const next = playOf(script)
  const requests: ScriptedRequest[] = []
  const models = options.models ?? ['scripted']

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (request.method !== 'POST') {
      if (path === '/v1/models')
        return sendJson(response, 200, modelsBody(models, 'anthropic-version' in request.headers))
      return sendJson(response, request.method === 'HEAD' ? 200 : 404, {})
    }
    const body = await readJson(request)
    if (path === '/v1/messages/count_tokens') return sendJson(response, 200, countBody(body))
    const found = apis[path]
    if (!found) return sendJson(response, 404, anthropicDialect.errorBody(404, `there is no ${path} here`))
    const { api, dialect } = found
    let seen: ScriptedRequest
    try {
      seen = readScriptedRequest(api, body, { path: request.url ?? path, headers: request.headers })
    } catch (cause) {
      return sendJson(response, 400, dialect.errorBody(400, `malformed request: ${String(cause)}`))
    }
    requests.push(seen)
    const turn = next(seen)
    if (turn === null) return sendJson(response, 400, dialect.errorBody(400, 'the script has ended'))
    await play(response, {
      turn,
      dialect,
      model: seen.model,
      stream: seen.stream,
      keep: keepFrame(seen),
    })
  }

  const server = createServer((request, response) => {
    response.on('error', () => {})
    answer(request, response).catch((cause: unknown) => {
      if (!response.headersSent) sendJson(response, 500, anthropicDialect.errorBody(500, String(cause)))
      else response.destroy()
    })
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
