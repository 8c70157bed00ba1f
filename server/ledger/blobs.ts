import type { Readable } from 'node:stream'
import type { Digest } from '#core/id.ts'

export interface BlobStore {
  /** Durable and named by its content when it resolves. Throws `too_large` beyond `maxBytes`, `disk_full`. */
  put(content: Readable | Buffer, maxBytes?: number): Promise<{ digest: Digest; bytes: number }>
  /** Throws `not_found`. */
  open(digest: Digest): Promise<{ stream: Readable; bytes: number }>
  /** The path of the blob on this host, to be read only. Throws `not_found`. */
  path(digest: Digest): Promise<string>
}
