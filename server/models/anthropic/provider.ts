import Anthropic from '@anthropic-ai/sdk'
import type { FailureContext } from '../failure.ts'
import { costOf } from '../prices.ts'
import type { ModelChunk, ModelProvider, ModelRequest } from '../provider.ts'
import { incomplete, withRetries } from '../retry.ts'
import type { ProviderSetup } from '../setup.ts'
import { Answer } from './answer.ts'
import { anthropicKeyHeaders } from './endpoint.ts'
import { requestBody } from './wire.ts'

function clientOf(setup: ProviderSetup): Anthropic {
  const { apiKey, baseUrl } = setup
  return new Anthropic({
    // Without an explicit key the SDK would look for one in the environment and in the user's files.
    apiKey: apiKey ?? 'none',
    authToken: null,
    baseURL: baseUrl,
    maxRetries: 0,
    // The upstream has an idle limit; a whole answer may take long.
    timeout: 24 * 3_600_000,
    logLevel: 'off',
    fetch: setup.upstream.fetch,
    defaultHeaders: apiKey ? anthropicKeyHeaders(setup) : { authorization: null },
  })
}

async function* attempt(
  client: Anthropic,
  setup: ProviderSetup,
  asked: { request: ModelRequest; signal: AbortSignal },
): AsyncGenerator<ModelChunk> {
  const body = requestBody(setup.model, asked.request)
  const events = await client.messages.create(body, { signal: asked.signal })
  const answer = new Answer()
  for await (const event of events) {
    const delta = answer.take(event)
    if (delta) yield delta
    if (answer.complete) break
  }
  if (!answer.complete) throw incomplete()
  const { tokens } = answer
  yield {
    kind: 'finished',
    content: answer.content,
    stop: answer.stop,
    usage: { model: setup.model, tokens, cost: costOf(setup.model, tokens, setup.prices) },
  }
}

/** Anthropic Messages at `baseUrl`. `id` is what the run records, by default `anthropic/MODEL`. */
export function anthropicProvider(setup: ProviderSetup, id = `anthropic/${setup.model}`): ModelProvider {
  const client = clientOf(setup)
  const context: FailureContext = {
    baseUrl: setup.baseUrl,
    keyVariable: 'ANTHROPIC_API_KEY',
    secrets: [setup.apiKey],
    now: setup.now,
  }
  return {
    id,
    stream: (request, signal) =>
      withRetries({
        attempt: () => attempt(client, setup, { request, signal }),
        policy: setup.retry,
        context,
        signal,
      }),
  }
}
