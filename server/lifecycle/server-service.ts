import type { ServerStatus } from '#core/server/server.ts'
import type { ServerService } from '#core/server/service.ts'
import type { RunStore } from '../run/run-store.ts'
import type { SandboxStore } from '../sandbox/sandbox-store.ts'
import type { Store } from '../store/store.ts'

export interface ServerFacts {
  readonly pid: number
  readonly version: string
  readonly home: string
  readonly socket: string
  readonly startedAt: string
}

export function serverService(options: {
  facts: ServerFacts
  store: Store
  runs: RunStore
  sandboxes: SandboxStore
  /** The model of a run that names none. */
  defaultModel: () => Promise<string>
  stop: () => void
}): ServerService {
  return {
    async status(): Promise<ServerStatus> {
      const [runs, sandboxes, model] = await Promise.all([
        options.runs.counts(),
        options.sandboxes.counts(),
        options.defaultModel(),
      ])
      return {
        ...options.facts,
        database: { kind: options.store.kind, version: options.store.version },
        runs,
        sandboxes,
        model: { id: model, scripted: model.startsWith('demo/') },
      }
    },
    async stop() {
      // After the answer has left.
      setTimeout(options.stop, 50).unref()
    },
  }
}
