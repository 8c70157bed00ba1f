import { z } from 'zod'
import { EgressPattern, RunLimits, Usd } from '../run/run.ts'
import { SandboxLimits } from '../sandbox/sandbox.ts'

/** Marks a value that is never shown and that lives in the secrets file (mode 0600). */
const secret = <T extends z.ZodType>(schema: T) => schema.meta({ secret: true })

const ModelSection = z.object({
  default: z
    .string()
    .max(200)
    .optional()
    .describe(
      'the model of a run without --model, as anthropic/NAME or openai/NAME; unset: chosen by which key there is',
    ),
  anthropic: z
    .object({
      apiKey: secret(z.string().optional()).describe(
        'the key for Anthropic (environment: ANTHROPIC_API_KEY)',
      ),
      baseUrl: z.url().optional().describe('where the Anthropic API is (environment: ANTHROPIC_BASE_URL)'),
    })
    .prefault({}),
  openai: z
    .object({
      apiKey: secret(z.string().optional()).describe(
        'the key for an OpenAI-compatible API (environment: OPENAI_API_KEY)',
      ),
      baseUrl: z
        .url()
        .optional()
        .describe('where the OpenAI-compatible API is (environment: OPENAI_BASE_URL)'),
      api: z
        .enum(['responses', 'chat'])
        .optional()
        .describe('which API it speaks; unset: responses for api.openai.com, chat elsewhere'),
    })
    .prefault({}),
  maxOutputTokens: z
    .number()
    .int()
    .min(256)
    .max(1_000_000)
    .default(16_384)
    .describe('the longest single answer, in tokens'),
  prices: z
    .record(
      z.string(),
      z.object({ input: Usd, output: Usd, cacheRead: Usd.optional(), cacheWrite: Usd.optional() }),
    )
    .default({})
    .describe('US dollars per million tokens by model name, over the built-in table'),
})

const SandboxSection = z.object({
  provider: z.string().default('auto').describe('the provider of a run without --provider'),
  limits: SandboxLimits.extend({
    memoryMb: SandboxLimits.shape.memoryMb.describe('memory of a sandbox, in MiB'),
    pids: SandboxLimits.shape.pids.describe('processes and threads of a sandbox'),
    diskMb: SandboxLimits.shape.diskMb.describe('everything that a sandbox can write to, in MiB'),
    cpus: SandboxLimits.shape.cpus.describe('cores of a sandbox; unset: all of the host’s'),
  }).prefault({}),
  keep: z
    .enum(['never', 'failed', 'always'])
    .default('never')
    .describe('whether a sandbox stays after its run has finished'),
  docker: z
    .object({
      host: z
        .string()
        .max(1000)
        .optional()
        .describe(
          'the Docker Engine, as unix:///PATH or tcp://HOST:PORT (environment: DOCKER_HOST); unset: /var/run/docker.sock',
        ),
      certificates: z
        .string()
        .max(1000)
        .optional()
        .describe(
          'a folder with ca.pem, cert.pem and key.pem to reach the Docker Engine by TLS (environment: DOCKER_CERT_PATH)',
        ),
      image: z
        .string()
        .max(500)
        .optional()
        .describe('an image that the Docker Engine has, made from the guest image; unset: the guest image'),
    })
    .prefault({}),
})

const EgressSection = z.object({
  allow: z
    .array(EgressPattern)
    .default([
      'registry.npmjs.org:443',
      'registry.yarnpkg.com:443',
      'pypi.org:443',
      'files.pythonhosted.org:443',
      'crates.io:443',
      'index.crates.io:443',
      'static.crates.io:443',
      'proxy.golang.org:443',
      'sum.golang.org:443',
      'rubygems.org:443',
      'repo.maven.apache.org:443',
      'deb.debian.org:80',
      'deb.debian.org:443',
    ])
    .describe(
      'host:port patterns that every sandbox may reach; the host of a run’s repository is added to them',
    ),
})

const StoreSection = z.object({
  databaseUrl: secret(z.string().optional()).describe(
    'a PostgreSQL to use instead of the embedded one (environment: DATABASE_URL)',
  ),
})

const RunSection = RunLimits.extend({
  maxTurns: RunLimits.shape.maxTurns.describe('the most turns of a run without --max-turns'),
  maxCost: RunLimits.shape.maxCost.describe('the most that a run may cost, in US dollars; unset: no limit'),
  maxTokens: RunLimits.shape.maxTokens.describe(
    'the most tokens of a run, input and output together; unset: no limit',
  ),
  timeout: RunLimits.shape.timeout.describe('the longest time of a run, in seconds'),
})

/** Every setting, with its default and a line for `forge config` and the docs. */
export const Config = z
  .object({
    model: ModelSection.prefault({}),
    sandbox: SandboxSection.prefault({}),
    egress: EgressSection.prefault({}),
    store: StoreSection.prefault({}),
    run: RunSection.prefault({}),
  })
  .strict()
export type Config = z.infer<typeof Config>
