import type { ModelChunk, ModelProvider, ModelRequest } from '../provider.ts'
import { defaultRetryPolicy, type RetryPolicy } from '../retry.ts'

type Finished = Extract<ModelChunk, { kind: 'finished' }>
type Retry = Extract<ModelChunk, { kind: 'retry' }>

export const sampleRequest: ModelRequest = {
  system: 'You are a test.',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Begin.' }] }],
  tools: [
    {
      name: 'shell',
      description: 'Runs a command',
      inputSchema: {
        type: 'object',
        properties: { command: { type: 'string' } },
        required: ['command'],
      },
    },
  ],
  maxOutputTokens: 1000,
}

/** No waiting; `slept` collects what the policy asked for. */
export const instantRetries = (slept: number[] = [], attempts = 3): RetryPolicy => ({
  ...defaultRetryPolicy,
  attempts,
  random: () => 0,
  sleep: async (ms) => {
    slept.push(ms)
  },
})

interface Collected {
  readonly chunks: ModelChunk[]
  readonly text: string
  readonly thinking: string
  readonly retries: Retry[]
  readonly finished: Finished | undefined
  readonly error: unknown
}

/** Reads a stream to its end, or to its error. */
export async function collect(
  provider: ModelProvider,
  options: { request?: ModelRequest; signal?: AbortSignal } = {},
): Promise<Collected> {
  const chunks: ModelChunk[] = []
  let error: unknown
  try {
    const signal = options.signal ?? new AbortController().signal
    for await (const chunk of provider.stream(options.request ?? sampleRequest, signal)) chunks.push(chunk)
  } catch (thrown) {
    error = thrown
  }
  const of = (kind: 'text' | 'thinking') =>
    chunks.map((chunk) => (chunk.kind === 'delta' && chunk.of === kind ? chunk.text : '')).join('')
  return {
    chunks,
    text: of('text'),
    thinking: of('thinking'),
    retries: chunks.filter((chunk) => chunk.kind === 'retry'),
    finished: chunks.find((chunk) => chunk.kind === 'finished'),
    error,
  }
}
