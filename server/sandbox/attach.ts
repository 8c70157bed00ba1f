import { type EgressDecision, egressPolicy } from '../egress/policy.ts'
import { egressProxy } from '../egress/proxy.ts'
import type { UpstreamSettings } from '../egress/upstream.ts'
import type { ModelGateway } from '../models/gateway/gateway.ts'
import type { Attachment } from './attachment.ts'

interface AttachOptions {
  readonly allow: readonly string[]
  readonly onDecision: (decision: EgressDecision) => void
  /** The server's own way out. */
  readonly upstream: UpstreamSettings
  readonly gateway: ModelGateway
}

/** Throws `invalid_input` naming an egress pattern that is not one. */
export function attachment({ allow, onDecision, upstream, gateway }: AttachOptions): Attachment {
  const proxy = egressProxy({ policy: egressPolicy(allow), onDecision, upstream })
  return {
    egress: (stream) => proxy.handle(stream),
    models: (stream) => gateway.handle(stream),
    async close() {
      proxy.close()
      await gateway.close()
    },
  }
}
