import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { ForgeError } from '#core/errors.ts'
import { Digest } from '#core/id.ts'
import type { BlobStore } from '../ledger/blobs.ts'

/** The largest upload, in bytes: a repository's bundle. */
const maxUpload = 8 * 2 ** 30

export function blobRoutes(app: FastifyInstance, blobs: BlobStore): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.put('/v1/blobs', { bodyLimit: maxUpload }, async (request) =>
    blobs.put(request.body as Readable, maxUpload),
  )
  app.get('/v1/blobs/:digest', async (request, reply) => {
    const digest = Digest.safeParse((request.params as { digest: string }).digest)
    if (!digest.success)
      throw new ForgeError('invalid_input', 'a blob is named by its SHA-256 in lower-case hex')
    const blob = await blobs.open(digest.data)
    return reply
      .header('content-type', 'application/octet-stream')
      .header('content-length', blob.bytes)
      .send(blob.stream)
  })
}
