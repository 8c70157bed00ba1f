import type { Logger } from 'pino'
import type { Sandbox } from '#core/sandbox/sandbox.ts'
import type { LiveConfig } from './config/service.ts'
import type { UpstreamSettings } from './egress/upstream.ts'
import { modelAccess } from './models/access.ts'
import { modelGateway } from './models/gateway/gateway.ts'
import { Meter } from './models/meter.ts'
import { priceTable } from './models/prices.ts'
import { makeUpstream, type Upstream } from './models/upstream.ts'
import type { AttachRequest } from './run/job.ts'
import { attachment } from './sandbox/attach.ts'
import type { Attachment } from './sandbox/attachment.ts'

interface WayOutOptions {
  /** For the server's own proxy. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
  readonly now: () => number
  readonly config: LiveConfig
}

interface WayOut {
  readonly upstream: Upstream
  readonly forRun: (request: AttachRequest) => Attachment
  readonly withoutRun: (sandbox: Sandbox, allow: readonly string[]) => Attachment
}

const upstreamOf = (env: WayOutOptions['env']): UpstreamSettings => ({
  https: env.HTTPS_PROXY ?? env.https_proxy,
  http: env.HTTP_PROXY ?? env.http_proxy,
  noProxy: env.NO_PROXY ?? env.no_proxy,
})

/** Everything that goes out of a sandbox goes through these attachments, and out of the server through `upstream`. */
export function wayOut({ env, log, now, config }: WayOutOptions): WayOut {
  const settings = upstreamOf(env)
  const upstream = makeUpstream({ proxyUrl: settings.https ?? settings.http, noProxy: settings.noProxy })
  const forRun = (request: AttachRequest) =>
    attachment({
      allow: request.allow,
      upstream: settings,
      onDecision: (data) => {
        const recorded = request.record({ actor: 'sandbox', type: 'egress.decided', data })
        recorded.catch((error: unknown) => log.warn({ err: error }, 'an egress decision came too late'))
      },
      gateway: modelGateway({
        access: modelAccess(request.config.model, request.credentials),
        prices: priceTable(request.config.model.prices),
        meter: request.meter,
        record: request.record,
        upstream,
        now,
        pricedOnly: request.pricedOnly,
      }),
    })
  const withoutRun = (sandbox: Sandbox, allow: readonly string[]) =>
    attachment({
      allow: [...config.current().egress.allow, ...allow],
      upstream: settings,
      onDecision: (decision) => log.info({ sandbox: sandbox.id, ...decision }, 'egress decided'),
      gateway: modelGateway({
        access: modelAccess(config.current().model),
        prices: priceTable(config.current().model.prices),
        meter: new Meter({}),
        record: async (draft) => log.info({ sandbox: sandbox.id, ...draft.data }, draft.type),
        upstream,
        now,
      }),
    })
  return { upstream, forRun, withoutRun }
}
