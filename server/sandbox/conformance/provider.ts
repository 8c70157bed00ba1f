import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import type { Wire } from '../wire/wire.ts'
import { commandTests } from './commands.ts'
import { deathTests } from './death.ts'
import { environmentTests } from './environment.ts'
import { fileErrorTests } from './file-errors.ts'
import { fileTests } from './files.ts'
import { forwardTests } from './forwards.ts'
import { hostTests, networkTests } from './isolation.ts'
import { kernelTests } from './kernel.ts'
import { killTests } from './kills.ts'
import { lifeTests } from './life.ts'
import { limitTests } from './limits.ts'
import { outputTests } from './output.ts'
import { skipBecause, type WireRig } from './rig.ts'
import { terminalTests } from './terminals.ts'
import { type Guest, type ProviderUnderTest, World } from './world.ts'

/** The contract of `SandboxProvider` and of the wire over it, as tests. Every provider passes all of it. */
export function describeProvider(underTest: ProviderUnderTest): void {
  describe(`the sandbox provider ${underTest.name}`, () => {
    const world = new World(underTest)
    let unavailable: string | null = null
    let guest: Guest
    let wire: Wire
    let home = ''
    beforeAll(async () => {
      unavailable = (await underTest.unavailable?.()) ?? null
      if (unavailable !== null) return
      await world.start()
      guest = await world.create({ limits: { diskMb: 96 } })
      wire = await world.connect(guest)
      home = (await wire.run({ command: 'printf %s "$HOME"' })).stdout.toString()
    }, 180_000)
    beforeEach(({ skip }) => {
      if (unavailable !== null) skipBecause(unavailable, skip)
    })
    afterAll(() => world.end(), 60_000)

    const rig: WireRig = {
      wire: () => wire,
      home: () => home,
      smallDisk: () => {
        const { enforced, how } = guest.created.enforcement.disk
        return enforced ? { path: '/tmp' } : { none: `its disk is not limited: ${how}` }
      },
      noTerminals: () => null,
    }

    lifeTests(world)
    commandTests(rig)
    environmentTests(rig)
    outputTests(rig)
    killTests(rig)
    terminalTests(rig)
    fileTests(rig)
    forwardTests(rig)
    networkTests(rig)
    hostTests(rig, world)
    kernelTests(rig, world)
    limitTests(world)
    deathTests(world)
    fileErrorTests(rig)
  })
}
