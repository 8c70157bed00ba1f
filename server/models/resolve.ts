import { z } from 'zod'
import type { Config } from '#core/config/config.ts'
import { ForgeError } from '#core/errors.ts'
import type { ModelCredentials } from '#core/run/run.ts'
import { type FamilyAccess, type ModelAccess, modelAccess } from './access.ts'
import { demoId } from './demo/id.ts'
import { failureOf, publicUrl } from './failure.ts'
import { isOpenai } from './openai/endpoint.ts'
import { priceTable } from './prices.ts'
import type { ModelProvider } from './provider.ts'
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts'
import type { Upstream } from './upstream.ts'

interface ModelOptions {
  readonly config: Config['model']
  /** Given with the run. */
  readonly credentials?: ModelCredentials | undefined
  readonly upstream: Upstream
  readonly retry?: RetryPolicy
  readonly now?: () => number
}

/** Taken when nothing is said about the model: good at code, and not the most expensive. */
const defaultModels = { anthropic: 'claude-sonnet-5-5', openai: 'gpt-6.1-sol' } as const

type Named = { family: 'anthropic' | 'openai'; model: string } | { family: 'demo' }

/** Throws `config_invalid` for a name that belongs to no family. */
function parseModelId(id: string): Named {
  if (id === demoId) return { family: 'demo' }
  const [, family, name] = /^(anthropic|openai)\/(.+)$/.exec(id) ?? []
  if ((family === 'anthropic' || family === 'openai') && name) return { family, model: name }
  if (/^claude-/.test(id)) return { family: 'anthropic', model: id }
  if (/^(gpt-|chatgpt-|codex-|o\d)/.test(id)) return { family: 'openai', model: id }
  throw new ForgeError('config_invalid', `there is no model ${id}`, {
    hint: `name it as anthropic/NAME or openai/NAME, or take ${demoId}`,
  })
}

const missing = (family: 'anthropic' | 'openai'): ForgeError => {
  const name = family.toUpperCase()
  return new ForgeError('config_invalid', `there is no key for ${family}`, {
    hint: `set ${name}_API_KEY, or ${name}_BASE_URL for an endpoint without keys, or run: forge config set model.${family}.apiKey -`,
  })
}

const ModelList = z.object({ data: z.array(z.object({ id: z.string().min(1).max(200) })) })

/** The first model that an OpenAI-compatible server lists. */
async function firstModel(access: FamilyAccess, options: ModelOptions): Promise<string> {
  const { clientOf } = await import('./openai/client.ts')
  const now = options.now ?? Date.now
  const setup = { ...access, model: '', upstream: options.upstream, now }
  const where = publicUrl(access.baseUrl)
  const hint = 'name the model with --model openai/NAME'
  const page = await clientOf(setup)
    .models.list()
    .catch((thrown: unknown) => {
      const secrets = [access.apiKey]
      const context = { baseUrl: access.baseUrl, keyVariable: 'OPENAI_API_KEY', secrets, now }
      throw failureOf(thrown, context).error
    })
  const parsed = ModelList.safeParse({ data: page.data })
  const [first] = parsed.success ? parsed.data.data : []
  if (!first) throw new ForgeError('config_invalid', `${where} lists no models`, { hint })
  return first.id
}

async function defaultFor(access: ModelAccess, options: ModelOptions): Promise<string> {
  if (access.anthropic) return `anthropic/${defaultModels.anthropic}`
  if (!access.openai) return demoId
  if (isOpenai(access.openai.baseUrl)) return `openai/${defaultModels.openai}`
  return `openai/${await firstModel(access.openai, options)}`
}

/**
 * The model of a run without `--model`: the configured one, else Anthropic's or OpenAI's where there is a key
 * or a base URL, else the demonstration. An OpenAI-compatible server is asked which models it has.
 */
export async function defaultModelId(options: ModelOptions): Promise<string> {
  if (options.config.default !== undefined) return options.config.default
  return defaultFor(modelAccess(options.config, options.credentials), options)
}

/**
 * `id` is `anthropic/NAME`, `openai/NAME`, `demo/scripted`, or a bare name that says whose it is; absent: the
 * default. Throws `config_invalid` for an unknown name or a missing key, `model_unavailable` when a server had
 * to be asked for its models and does not answer.
 */
export async function resolveModel(
  options: ModelOptions & { id?: string | undefined },
): Promise<ModelProvider> {
  const named = parseModelId(options.id ?? (await defaultModelId(options)))
  const common = {
    prices: priceTable(options.config.prices),
    upstream: options.upstream,
    retry: options.retry ?? defaultRetryPolicy,
    now: options.now ?? Date.now,
  }
  // The libraries are large: each is loaded by the first run that needs it.
  if (named.family === 'demo') return (await import('./demo/provider.ts')).demoProvider(common)
  const access = modelAccess(options.config, options.credentials)[named.family]
  if (!access) throw missing(named.family)
  const setup = { ...common, ...access, model: named.model }
  if (named.family === 'anthropic') return (await import('./anthropic/provider.ts')).anthropicProvider(setup)
  const api = options.config.openai.api ?? (isOpenai(access.baseUrl) ? 'responses' : 'chat')
  if (api === 'responses') return (await import('./openai/responses.ts')).responsesProvider(setup)
  return (await import('./openai/chat.ts')).chatProvider(setup)
}
