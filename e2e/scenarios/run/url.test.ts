import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract, only } from '#e2e/world/contract.ts'
import { type GitHost, serveGit } from '#e2e/world/git-host.ts'
import { World } from '#e2e/world/world.ts'

describe('forge run --repo URL', () => {
  let world: World
  let host: GitHost
  let repo: string
  beforeAll(async () => {
    world = await World.make()
    repo = await world.repository('upstream', { 'a.txt': 'one\n' })
    host = await serveGit(path.dirname(repo))
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
    await host[Symbol.asyncDispose]()
  })

  it('works on a clone, and its work applies to another clone of it', async () => {
    const url = `http://127.0.0.1:${host.port}/upstream/.git`
    const command = 'sed -i s/one/two/ a.txt && git ls-remote origin 2>&1 | head -1; git remote -v'
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command } }] }, { text: 'Two.' }],
    })
    const result = await world.forge(['run', '--json', '--repo', url, 'Make it two'], {
      env: { ANTHROPIC_BASE_URL: model.url },
    })
    const { events, finished } = contract(result)
    expect(finished.data, result.stdout).toMatchObject({
      outcome: 'done',
      diff: { files: 1, insertions: 1, deletions: 1 },
    })
    expect(only(events, 'run.created')[0]?.data.spec.source).toMatchObject({ kind: 'url', url })
    await world.git(world.dir, 'clone', '-q', url, 'mine')
    const applied = await world.forge(['apply', finished.run, '--branch', 'two'], {
      cwd: path.join(world.dir, 'mine'),
    })
    expect(applied.code, applied.stderr).toBe(0)
    expect(await world.git(path.join(world.dir, 'mine'), 'show', 'two:a.txt')).toBe('two\n')
  })

  it.each([
    ['http://127.0.0.1:9/nothing.git', 5],
    ['ext::sh -c touch% /tmp/pwned', 1],
    ['file:///etc', 2],
  ])('says why %s cannot be taken', async (url, _code) => {
    const model = await world.model({ turns: [{ text: 'never' }] })
    const { code, stdout, stderr } = await world.forge(['run', '--json', '--repo', url, 'x'], {
      env: { ANTHROPIC_BASE_URL: model.url },
    })
    expect(code).not.toBe(0)
    expect(stdout + stderr).toMatch(/cannot be cloned|no URL|no such|does not exist|there is no|not a/i)
    if (stdout !== '') contract({ code, stdout, stderr })
    expect(model.requests).toHaveLength(0)
  })
})
