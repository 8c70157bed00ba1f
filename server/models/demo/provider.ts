import { anthropicProvider } from '../anthropic/provider.ts'
import type { ModelChunk, ModelProvider, ModelRequest } from '../provider.ts'
import { startScriptedModel } from '../scripted/server.ts'
import type { ProviderSetup } from '../setup.ts'
import { demoId } from './id.ts'
import { demoScript } from './script.ts'

/** Nobody is paid for it. */
const prices = { scripted: { input: 0, output: 0 } }

type Setup = Pick<ProviderSetup, 'upstream' | 'retry' | 'now'>

async function* stream(setup: Setup, request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelChunk> {
  const server = await startScriptedModel(demoScript)
  try {
    const real = anthropicProvider(
      { ...setup, prices, model: 'scripted', apiKey: undefined, baseUrl: server.url },
      demoId,
    )
    yield* real.stream(request, signal)
  } finally {
    await server.close()
  }
}

/**
 * The built-in demonstration: no model, but a script that reacts to what the tools say. It runs behind real
 * HTTP and the real Anthropic provider, so that it shows what a run with a model does.
 */
export const demoProvider = (setup: Setup): ModelProvider => ({
  id: demoId,
  stream: (request, signal) => stream(setup, request, signal),
})
