import type { ServerStatus } from './server.ts'

export interface ServerService {
  status(): Promise<ServerStatus>
  /** Answers first, then stops the server. Runs that are under way are taken up again by the next start. */
  stop(): Promise<void>
}
