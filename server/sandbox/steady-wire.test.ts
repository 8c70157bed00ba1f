import { expect, test } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { steadyWire } from './steady-wire.ts'
import type { Wire } from './wire/wire.ts'

const gone = new ForgeError('sandbox_lost', 'the connection broke')
/** A connection that has broken. */
const broken = { run: () => Promise.reject(gone) } as unknown as Wire
const run = { command: 'true' }

test('a call on a broken connection to a sandbox that lives says so', async () => {
  const wire = steadyWire(
    () => Promise.resolve(broken),
    () => Promise.resolve(),
  )
  await expect(wire.run(run)).rejects.toMatchObject({ code: 'wire_lost' })
})

test('a sandbox that is being killed is lost, even where the wire breaks before the provider sees it', async () => {
  let connections = 0
  let asked = 0
  const wire = steadyWire(
    () => (connections++ === 0 ? Promise.resolve(broken) : Promise.reject(gone)),
    () => (++asked < 3 ? Promise.resolve() : Promise.reject(new ForgeError('sandbox_lost', 'killed'))),
  )
  await expect(wire.run(run)).rejects.toMatchObject({ code: 'sandbox_lost', message: 'killed' })
})

test('one that lives and takes no connection costs a call, not the sandbox', async () => {
  let connections = 0
  const wire = steadyWire(
    () => (connections++ === 0 ? Promise.resolve(broken) : Promise.reject(gone)),
    () => Promise.resolve(),
  )
  await expect(wire.run(run)).rejects.toMatchObject({ code: 'wire_lost' })
})
