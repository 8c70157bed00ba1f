import { rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '#core/run/run.ts'
import { contract } from '#e2e/world/contract.ts'
import { type Started, World } from '#e2e/world/world.ts'

const working = {
  turns: [
    { calls: [{ name: 'write', input: { path: 'half.txt', content: 'half\n' } }] },
    { calls: [{ name: 'shell', input: { command: 'sleep 600' } }] },
  ],
}

describe('a run that is broken off', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** A run whose agent waits in a command. */
  async function midway(env: Record<string, string> = {}): Promise<Started> {
    const model = await world.model(working)
    const run = world.start(['run', '--json', 'Begin'], { env: { ANTHROPIC_BASE_URL: model.url, ...env } })
    await run.says(/"type":"tool.started".*"sleep 600"/)
    return run
  }

  it.each([
    ['SIGINT', 'interrupted', 130],
    ['SIGTERM', 'terminated', 143],
  ] as const)('by %s is cancelled, keeps its work, and says so last', async (signal, outcome, code) => {
    const run = await midway()
    run.child.kill(signal)
    const result = await run.finished
    const { finished } = contract(result)
    expect(finished).toMatchObject({ actor: 'server', data: { outcome, exitCode: code, diff: { files: 1 } } })
    expect((await world.forge(['diff', finished.run])).stdout).toContain('+half')
    expect(await world.json(['sandbox', 'ls'])).toEqual([])
  })

  it('by forge runs cancel ends for whoever watches', async () => {
    const run = await midway()
    const [listed] = await world.json<Run[]>(['runs', 'ls'])
    const cancelled = await world.json<Run>(['runs', 'cancel', listed?.id ?? ''])
    expect(cancelled.id).toBe(listed?.id)
    expect(contract(await run.finished).finished.data).toMatchObject({ outcome: 'cancelled', exitCode: 130 })
    const twice = await world.forge(['runs', 'cancel', cancelled.id])
    expect(twice.code).toBe(0)
  })

  it('by a second SIGINT leaves at once with a last line of its own', async () => {
    const run = await midway()
    const pid = await world.serverPid()
    // A server that does not get to it.
    process.kill(pid, 'SIGSTOP')
    run.child.kill('SIGINT')
    await run.says(/once more leaves at once/)
    run.child.kill('SIGINT')
    const result = await run.finished
    process.kill(pid, 'SIGCONT')
    const { finished } = contract(result)
    expect(finished).toMatchObject({ actor: 'client', data: { outcome: 'interrupted', exitCode: 130 } })
  })

  it('by a server that is gone for good ends with a last line of the client', async () => {
    const run = await midway()
    const pid = await world.serverPid()
    // A data directory that no server can use, as after a disk's loss.
    const data = path.join(world.home, 'data')
    await rename(data, `${data}.away`)
    await writeFile(data, '')
    process.kill(pid, 'SIGKILL')
    const { finished } = contract(await run.finished)
    expect(finished).toMatchObject({ actor: 'client', data: { outcome: 'server_lost', exitCode: 1 } })
    // The disk is back: the next server ends what the lost one had begun, and removes its sandbox.
    await rm(data)
    await rename(`${data}.away`, data)
    await world.forge(['runs', 'cancel', finished.run])
    const rest = await world.forge(['events', finished.run, '--follow'])
    expect(rest.code, rest.stderr).toBe(0)
    expect(await world.json(['runs', 'show', finished.run])).toMatchObject({ state: 'finished' })
    expect(await world.json(['sandbox', 'ls'])).toEqual([])
  }, 90_000)
})
