import { existsSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAlive } from '#cli/client/process.ts'
import type { Sandbox } from '#core/sandbox/sandbox.ts'
import type { ServerStatus } from '#core/server/server.ts'
import { contract, only } from '#e2e/world/contract.ts'
import { processesWith } from '#e2e/world/processes.ts'
import { World } from '#e2e/world/world.ts'

describe('the life of a server', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('is none before anybody needs it, and to stop none is fine', async () => {
    const status = await world.forge(['status'])
    expect(status).toMatchObject({ code: 1, stderr: '' })
    expect(status.stdout).toMatch(/not running/)
    expect(JSON.parse((await world.forge(['status', '--json'])).stdout)).toEqual({ running: false })
    expect((await world.forge(['stop'])).code).toBe(0)
    expect(JSON.parse((await world.forge(['stop', '--json'])).stdout)).toEqual({ stopped: false, pid: null })
  })

  it('begins once, however many commands begin at once, and they say so once', async () => {
    const commands = await Promise.all([1, 2, 3, 4].map(() => world.forge(['sandbox', 'ls', '--json'])))
    for (const { code, stdout, stderr } of commands)
      expect({ code, stdout: JSON.parse(stdout) }, stderr).toEqual({ code: 0, stdout: [] })
    expect(commands.filter(({ stderr }) => /started/.test(stderr))).toHaveLength(1)
    const status = await world.json<ServerStatus>(['status'])
    expect(status).toMatchObject({
      running: true,
      database: { kind: 'embedded', version: expect.stringMatching(/^18/) },
    })
    expect((await world.forge(['runs', 'ls'])).stderr).toBe('')
  })

  it('refuses a second one on the same data, and names the first', async () => {
    const pid = await world.serverPid()
    const second = await world.forge(['serve'])
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(String(pid))
    expect(await world.serverPid()).toBe(pid)
  })

  it('is outlived by a sandbox and its files, even when it is killed', async () => {
    const { id } = await world.json<Sandbox>(['sandbox', 'create', '--name', 'mine'])
    await world.forge([
      'sandbox',
      'exec',
      'mine',
      '--',
      'echo kept > ~/kept; (sleep 1000 > /dev/null 2>&1 &)',
    ])
    const pid = await world.serverPid()
    process.kill(pid, 'SIGKILL')
    const after = await world.forge([
      'sandbox',
      'exec',
      'mine',
      '--',
      'cat ~/kept; grep -lx sleep /proc/[0-9]*/comm 2> /dev/null | wc -l',
    ])
    expect(after.stdout, after.stderr).toBe('kept\n1\n')
    expect(await world.serverPid()).not.toBe(pid)
    expect(await world.json<Sandbox[]>(['sandbox', 'ls'])).toMatchObject([
      { id, name: 'mine', state: 'running' },
    ])
    expect((await world.forge(['stop'])).code).toBe(0)
    const again = await world.forge(['sandbox', 'exec', 'mine', '--', 'cat ~/kept'])
    expect(again.stdout, again.stderr).toBe('kept\n')
    expect((await world.forge(['sandbox', 'rm', 'mine'])).code).toBe(0)
    expect(await world.json(['sandbox', 'ls'])).toEqual([])
    expect((await world.forge(['sandbox', 'exec', 'mine', '--', 'true'])).code).not.toBe(0)
  })

  it('stops in an orderly way in the middle of a run, and the next one goes on', async () => {
    const script = {
      by: 'conversation' as const,
      turns: [
        { calls: [{ name: 'shell', input: { command: 'echo one > one; sleep 2' } }] },
        { calls: [{ name: 'shell', input: { command: 'echo two > two' } }] },
        { text: 'Both.' },
      ],
    }
    const model = await world.model(script)
    const run = world.start(['run', '--json', 'Two files'], { env: { ANTHROPIC_BASE_URL: model.url } })
    await run.says(/"type":"tool.started"/)
    const pid = await world.serverPid()
    process.kill(pid, 'SIGTERM')
    const { events, finished } = contract(await run.finished)
    expect(finished.data, JSON.stringify(finished)).toMatchObject({ outcome: 'done', diff: { files: 2 } })
    expect(only(events, 'run.resumed')).toHaveLength(1)
    expect(await isAlive(pid)).toBe(false)
  })

  it('leaves neither processes nor sockets when it has stopped', async () => {
    const pid = await world.serverPid()
    const stopped = await world.json<{ pid: number }>(['stop'])
    expect(stopped).toEqual({ stopped: true, pid })
    expect(await isAlive(pid)).toBe(false)
    expect(existsSync(path.join(world.home, 'run/forge.sock'))).toBe(false)
    expect(processesWith(world.home)).toEqual([])
    expect((await world.forge(['status'])).code).toBe(1)
  })
})
