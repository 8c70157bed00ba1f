import { existsSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ServerStatus } from '#core/server/server.ts'
import { contract } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'
import { startGiven } from '#server/store/conformance/given.ts'

const given = await startGiven()
afterAll(() => given.stop())

describe(`DATABASE_URL with ${given.label}`, () => {
  let world: World
  let env: Record<string, string>
  beforeAll(async () => {
    world = await World.make()
    env = { DATABASE_URL: await given.createDatabase() }
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('does the main job, and has no database of its own', async () => {
    const model = await world.model({
      by: 'conversation',
      turns: [{ calls: [{ name: 'write', input: { path: 'x.txt', content: 'x\n' } }] }, { text: 'Done.' }],
    })
    const run = () =>
      world.forge(['run', '--json', '--check', 'test -f x.txt', 'Make x.txt'], {
        env: { ...env, ANTHROPIC_BASE_URL: model.url },
      })
    const { finished } = contract(await run())
    expect(finished.data).toMatchObject({ outcome: 'done', check: { passed: true }, diff: { files: 1 } })
    const status = await world.json<ServerStatus>(['status'])
    expect(status).toMatchObject({ database: { kind: 'given' }, runs: { total: 1 } })
    expect(existsSync(path.join(world.home, 'data/postgres'))).toBe(false)
    // The next server, after a crash, finds the run again.
    process.kill(status.pid, 'SIGKILL')
    const show = await world.json(['runs', 'show', finished.run], { env })
    expect(show).toMatchObject({ id: finished.run, outcome: 'done' })
    expect(contract(await run()).finished.data.outcome).toBe('done')
  })

  it('keeps a second server off the same database, from wherever it comes', async () => {
    const pid = await world.serverPid()
    await using other = await World.make()
    const second = await other.forge(['serve'], { env })
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(String(pid))
    expect(second.stderr).not.toMatch(/postgres:\/\/[^*\s]*:[^*\s]+@/)
  })
})
