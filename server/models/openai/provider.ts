import type OpenAI from 'openai'
import type { FailureContext } from '../failure.ts'
import type { ModelChunk, ModelProvider, ModelRequest } from '../provider.ts'
import { withRetries } from '../retry.ts'
import type { ProviderSetup } from '../setup.ts'
import { clientOf } from './client.ts'

/** What one request is made of. */
export interface Asked {
  readonly client: OpenAI
  readonly setup: ProviderSetup
  readonly request: ModelRequest
  readonly signal: AbortSignal
}

/** A model provider on one of OpenAI's APIs; `attempt` asks once. */
export function openaiProvider(
  setup: ProviderSetup,
  attempt: (asked: Asked) => AsyncGenerator<ModelChunk>,
): ModelProvider {
  const client = clientOf(setup)
  const context: FailureContext = {
    baseUrl: setup.baseUrl,
    keyVariable: 'OPENAI_API_KEY',
    secrets: [setup.apiKey],
    now: setup.now,
  }
  return {
    id: `openai/${setup.model}`,
    stream: (request, signal) =>
      withRetries({
        attempt: () => attempt({ client, setup, request, signal }),
        policy: setup.retry,
        context,
        signal,
      }),
  }
}
