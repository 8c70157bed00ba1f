import path from 'node:path'
import { call } from '#cli/client/call.ts'
import { openExec } from '#cli/client/exec.ts'
import type { Http } from '#cli/client/http.ts'
import type { SandboxId } from '#core/id.ts'
import { SandboxSpec } from '#core/sandbox/sandbox.ts'
import type { Benchmark, Comparison, Skip } from './benchmark.ts'
import { findDocker } from './docker.ts'
import { command, inTurns, type Task, timed } from './measure.ts'
import { bootOne, sandboxRig } from './sandbox-rig.ts'
import { runningServer } from './server.ts'

/** Create and first command, as a client of the server sees them; destroying is not timed, as with `bootOne`. */
async function overServer(http: Http): Promise<number> {
  const ignore = async () => undefined
  let id: SandboxId | undefined
  const ms = await timed(async () => {
    id = (await call(http, 'sandboxes.create', SandboxSpec.parse({}))).id
    const exec = await openExec(
      http.socket,
      { sandbox: id, start: { command: 'true' } },
      { stdout: ignore, stderr: ignore },
    )
    exec.endStdin()
    const { code } = await exec.exit
    if (code !== 0) throw new Error(`true ended with ${code}`)
  })
  if (id) await call(http, 'sandboxes.destroy', { id })
  return ms
}

export const benchmark: Benchmark = {
  name: 'sandbox',
  about: 'from nothing to the end of the first command in a new sandbox',
  async run(place) {
    await using rig = await sandboxRig(place.scratch)
    if (rig.unavailable !== null)
      return { comparisons: [], skipped: [{ what: 'everything', reason: rig.unavailable }] }
    const { provider } = rig
    await using server = await runningServer(place, path.join(place.scratch, 'home'))
    await using docker = await findDocker(place.scratch)
    const inProcess: Task = async () => {
      let booted: Awaited<ReturnType<typeof bootOne>> | undefined
      const ms = await timed(async () => {
        booted = await bootOne(provider)
        const { code } = await booted.wire.run({ command: 'true' })
        if (code !== 0) throw new Error(`true ended with ${code}`)
      })
      await booted?.[Symbol.asyncDispose]()
      return ms
    }
    const floor = () => timed(() => command('bwrap', ['--ro-bind', '/', '/', '--unshare-all', 'true']))
    const tasks = { server: () => overServer(server.http), inProcess, floor }
    const docked: Task | null = docker.unavailable === null ? () => timed(docker.runTrue) : null
    const found = await inTurns<string>(docked ? { ...tasks, docker: docked } : tasks, {
      times: 25,
      warmUp: 2,
    })
    const comparisons: Comparison[] = []
    const row = (ours: string, peer: [key: string, name: string], bound?: number) => {
      const [oursSample, peerSample] = [found[ours], found[peer[0]]]
      if (!oursSample || !peerSample) return
      comparisons.push({
        ours:
          ours === 'server'
            ? 'sandboxes.create and exec, over the server'
            : 'provider.create and wire.run, in process',
        peer: peer[1],
        unit: 'ms',
        oursSample,
        peerSample,
        ...(bound === undefined ? {} : { bound: { kind: 'at most', ratio: bound } }),
      })
    }
    for (const ours of ['server', 'inProcess']) row(ours, ['docker', 'docker run --rm IMAGE true'], 0.5)
    for (const ours of ['server', 'inProcess']) row(ours, ['floor', 'bwrap --ro-bind / / --unshare-all true'])
    const skipped: Skip[] =
      docker.unavailable === null ? [] : [{ what: 'docker run', reason: docker.unavailable }]
    const notes =
      docker.unavailable === null ? [`${docker.description}; its container has no network either`] : []
    return { comparisons, skipped, notes }
  },
}
