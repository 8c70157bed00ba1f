import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { refuseUpgrade } from './problem.ts'

test('a client that is gone before its upgrade was refused breaks nothing', async () => {
  const failed = Promise.withResolvers<void>()
  const socket = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    },
  })
  socket.once('close', failed.resolve)
  refuseUpgrade(socket, new ForgeError('not_found', 'nothing is here'))
  await failed.promise
  expect(socket.errored).toMatchObject({ code: 'EPIPE' })
})
