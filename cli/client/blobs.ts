import { createReadStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { Digest } from '#core/id.ts'
import type { Http } from './http.ts'

const Stored = z.object({ digest: Digest, bytes: z.number().int() })

/** Streams a file or a stream to the server's blob store. */
export async function uploadBlob(
  http: Http,
  content: string | Readable,
  signal?: AbortSignal,
): Promise<{ digest: Digest; bytes: number }> {
  const body = typeof content === 'string' ? createReadStream(content) : content
  const text = await http.text({
    method: 'PUT',
    path: '/v1/blobs',
    headers: { 'content-type': 'application/octet-stream' },
    body,
    ...(signal ? { signal } : {}),
  })
  return Stored.parse(JSON.parse(text))
}

/** Streams a blob. Throws `not_found`. */
export const downloadBlob = (http: Http, digest: Digest): Promise<Readable> =>
  http.open({ method: 'GET', path: `/v1/blobs/${digest}` })

/** Streams a blob into `target` and ends it. */
export async function saveBlob(http: Http, digest: Digest, target: Writable): Promise<void> {
  await pipeline(await downloadBlob(http, digest), target)
}
