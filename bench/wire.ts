import type { Benchmark } from './benchmark.ts'
import { command, inTurns, timed } from './measure.ts'
import { bootOne, sandboxRig } from './sandbox-rig.ts'

export const benchmark: Benchmark = {
  name: 'wire',
  about: 'a command in a sandbox whose wire is open',
  async run({ scratch }) {
    await using rig = await sandboxRig(scratch)
    if (rig.unavailable !== null)
      return { comparisons: [], skipped: [{ what: 'everything', reason: rig.unavailable }] }
    await using sandbox = await bootOne(rig.provider)
    const run = async () => {
      const { code } = await sandbox.wire.run({ command: 'true' })
      if (code !== 0) throw new Error(`true ended with ${code}`)
    }
    const found = await inTurns(
      { wire: () => timed(run), spawn: () => timed(() => command('bash', ['-c', 'true'])) },
      { times: 300, warmUp: 20 },
    )
    return {
      comparisons: [
        {
          ours: 'wire.run("true")',
          peer: 'spawn of bash -c true on the host',
          unit: 'ms',
          oursSample: found.wire,
          peerSample: found.spawn,
        },
      ],
    }
  },
}
