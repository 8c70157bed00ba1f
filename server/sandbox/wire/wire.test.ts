import { afterAll, beforeAll } from 'vitest'
import { commandTests } from '../conformance/commands.ts'
import { environmentTests } from '../conformance/environment.ts'
import { fileErrorTests } from '../conformance/file-errors.ts'
import { fileTests } from '../conformance/files.ts'
import { forwardTests } from '../conformance/forwards.ts'
import { killTests } from '../conformance/kills.ts'
import { outputTests } from '../conformance/output.ts'
import type { WireRig } from '../conformance/rig.ts'
import { terminalTests } from '../conformance/terminals.ts'
import { connectWire } from './connect.ts'
import { type RealSshd, realSshd } from './real-sshd.ts'
import type { Wire } from './wire.ts'

let server: RealSshd
let wire: Wire
beforeAll(async () => {
  // The configuration of a guest may name variables of its own; a request's come before them.
  server = await realSshd({ setEnv: { PATH: '/usr/bin:/bin', FROM_GUEST: 'guest' } })
  wire = await connectWire(server.open().stream, server)
}, 120_000)
afterAll(async () => {
  wire?.close()
  await server?.[Symbol.asyncDispose]()
})

/** The same tests as every provider passes, without a sandbox around the guest. */
const rig: WireRig = {
  wire: () => wire,
  home: () => server.home,
  smallDisk: () =>
    server.smallDisk === null ? { none: 'only root may mount a small disk' } : { path: server.smallDisk },
  noTerminals: () => server.noTerminals,
}

commandTests(rig)
environmentTests(rig)
outputTests(rig)
killTests(rig)
terminalTests(rig)
fileTests(rig)
fileErrorTests(rig)
forwardTests(rig)
