import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract, only } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'

const canary = `sk-ant-canary-${'0123456789abcdef'.repeat(2)}`
/** Spelled so that the search does not find itself. */
const pattern = `${canary.slice(0, -1)}[${canary.at(-1)}]`

describe('a key that the server is given', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('is used outside, and is nowhere in the sandbox, the ledger, the logs and the data', async () => {
    const search = [
      `env | grep -c '${pattern}'`,
      `cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -ac '${pattern}'`,
      `grep -rIl --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr --exclude-dir=dev '${pattern}' / 2>/dev/null | wc -l`,
      'echo "$ANTHROPIC_API_KEY"',
    ].join('; ')
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: search } }] }, { text: 'I looked everywhere.' }],
    })
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: canary }
    const result = await world.forge(['run', '--json', 'Find the key'], { env })
    const { events, finished } = contract(result)
    expect(finished.data.outcome).toBe('done')
    expect(model.requests.map(({ headers }) => headers['x-api-key'])).toEqual([canary, canary])
    const [found] = only(events, 'tool.finished')
    expect(found?.data.content).toMatch(/^0\n0\n0\nforge-gateway\n/)
    expect(result.stdout + result.stderr).not.toContain(canary)
    // The server, started by that command, has it in its own environment and memory only.
    // Without the template of sandboxes' disks: gigabytes of holes.
    const files = `find ${world.home} -type f -size -64M -print0 | xargs -0 grep -aFl ${canary}`
    const server = await promisify(execFile)('bash', ['-c', files]).catch(
      (error: { code: number; stdout: string }) => error,
    )
    expect(server).toMatchObject({ code: 123, stdout: '' })
  })

  it('is stored in a file of its owner when it is configured, and never shown', async () => {
    const set = await world.forge(['config', 'set', 'model.anthropic.apiKey', '-'], { input: `${canary}\n` })
    expect(set.code, set.stderr).toBe(0)
    const shown = await Promise.all([
      world.forge(['config', 'ls']),
      world.forge(['config', 'ls', '--json']),
      world.forge(['config', 'get', 'model.anthropic.apiKey', '--json']),
    ])
    for (const { code, stdout, stderr } of [set, ...shown]) {
      expect(code).toBe(0)
      expect(stdout + stderr).not.toContain(canary)
    }
    const holders = await promisify(execFile)('find', [
      world.home,
      '-type',
      'f',
      '-name',
      'secrets.json',
      '-perm',
      '600',
    ])
    expect(holders.stdout).toContain('secrets.json')
  })
})
