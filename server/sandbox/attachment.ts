import type { Duplex } from 'node:stream'

/** What answers on a sandbox's two ports out. One object per sandbox, so that who is asking is known. */
export interface Attachment {
  egress(stream: Duplex): void
  models(stream: Duplex): void
  /** Resolves when everything that was under way is recorded. */
  close(): Promise<void>
}
