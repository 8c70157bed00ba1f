import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contract, only, type Stream } from '#e2e/world/contract.ts'
import { World } from '#e2e/world/world.ts'

describe('a repository, there and back', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** The agent runs one command; gives the stream and what the command said. */
  async function agent(repo: string, command: string): Promise<Stream & { said: string }> {
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: `set -e\n${command}` } }] }, { text: 'Done.' }],
    })
    const result = await world.forge(['run', '--json', '--repo', repo, 'Do it'], {
      env: { ANTHROPIC_BASE_URL: model.url },
    })
    const stream = contract(result)
    const [tool] = only(stream.events, 'tool.finished')
    expect(tool?.data.isError, result.stdout).toBe(false)
    expect(stream.finished.data.outcome, result.stdout).toBe('done')
    return { ...stream, said: tool?.data.content ?? '' }
  }

  it('keeps binary files, renames, modes, links and odd names, with the user’s uncommitted changes', async () => {
    const repo = await world.repository('kinds', {
      'old.txt': 'a\nb\nc\nd\n',
      'bin.dat': '\0\u0001\u0002',
      '.gitignore': 'secret\n',
      'tool.sh': '#!/bin/sh\n',
    })
    await writeFile(path.join(repo, 'secret'), 'ignored\n')
    await writeFile(path.join(repo, 'untracked.txt'), 'not committed\n')
    await writeFile(path.join(repo, 'old.txt'), 'a\nb\nc\nchanged\n')
    const before = await world.git(repo, 'status', '--porcelain')
    const { finished, said } = await agent(
      repo,
      'cat old.txt untracked.txt; test ! -e secret; git mv old.txt new.txt; chmod +x tool.sh; ln -s new.txt link; head -c 3000 /dev/urandom > bin.dat; printf x > "$(printf \'t\\303\\244 b\\n"q.txt\')"',
    )
    expect(said).toMatch(/changed\nnot committed/)
    expect(await world.git(repo, 'status', '--porcelain')).toBe(before)
    await world.git(repo, 'add', '-A')
    await world.git(repo, 'commit', '-qm', 'mine')
    const applied = await world.forge(['apply', finished.run], { cwd: repo })
    expect(applied.code, applied.stderr).toBe(0)
    expect(await readFile(path.join(repo, 'new.txt'), 'utf8')).toBe('a\nb\nc\nchanged\n')
    expect(existsSync(path.join(repo, 'old.txt'))).toBe(false)
    expect(((await lstat(path.join(repo, 'tool.sh'))).mode & 0o111) !== 0).toBe(true)
    expect(await readlink(path.join(repo, 'link'))).toBe('new.txt')
    expect((await readFile(path.join(repo, 'bin.dat'))).length).toBe(3000)
    expect(await readFile(path.join(repo, 't\u00e4 b\n"q.txt'), 'utf8')).toBe('x')
  })

  it('runs nothing of a hostile one on the host, neither of the user’s nor of the agent’s', async () => {
    const canary = path.join(world.dir, 'pwned')
    const bait = `touch ${canary}`
    const repo = await world.repository('hostile', {
      '.gitattributes': '* filter=evil diff=evil merge=evil\n',
      'a.txt': 'one\n',
    })
    for (const [key, value] of [
      ['core.fsmonitor', bait],
      ['core.sshCommand', bait],
      ['core.pager', bait],
      ['diff.external', bait],
      ['diff.evil.textconv', bait],
      ['filter.evil.clean', `${bait}; cat`],
      ['filter.evil.smudge', `${bait}; cat`],
      ['merge.evil.driver', bait],
      ['gpg.program', bait],
      ['uploadpack.packObjectsHook', bait],
    ] as const)
      await world.git(repo, 'config', key, value)
    await mkdir(path.join(repo, '.git/hooks'), { recursive: true })
    for (const hook of [
      'pre-commit',
      'post-checkout',
      'post-commit',
      'reference-transaction',
      'post-index-change',
      'pre-applypatch',
      'post-applypatch',
    ]) {
      await writeFile(path.join(repo, '.git/hooks', hook), `#!/bin/sh\n${bait}\n`)
      await chmod(path.join(repo, '.git/hooks', hook), 0o755)
    }
    await rm(canary, { force: true })
    const { finished } = await agent(
      repo,
      `echo two >> a.txt; mkdir -p .git/hooks; git config core.fsmonitor '${bait}'; git config filter.evil.clean '${bait}'; printf '#!/bin/sh\\n${bait}\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit`,
    )
    expect((await world.forge(['diff', finished.run])).stdout).toContain('+two')
    const branch = await world.forge(['apply', finished.run, '--branch', 'work'], { cwd: repo })
    expect(branch.code, branch.stderr).toBe(0)
    const tree = await world.forge(['apply', finished.run], { cwd: repo })
    expect(tree.code, tree.stderr).toBe(0)
    expect(await readFile(path.join(repo, 'a.txt'), 'utf8')).toBe('one\ntwo\n')
    expect(existsSync(canary)).toBe(false)
  })

  it('may be empty, or none at all', async () => {
    const empty = path.join(world.dir, 'empty')
    await mkdir(empty)
    await world.git(empty, 'init', '-q', '-b', 'main')
    const first = await agent(empty, 'echo first > first.txt')
    const applied = await world.forge(['apply', first.finished.run], { cwd: empty })
    expect(applied.code, applied.stderr).toBe(0)
    expect(await readFile(path.join(empty, 'first.txt'), 'utf8')).toBe('first\n')
    const none = path.join(world.dir, 'none')
    await mkdir(none)
    const second = await agent(none, 'ls; echo made > made.txt')
    expect(second.finished.data.diff).toMatchObject({ files: 1 })
    expect((await world.forge(['diff', second.finished.run])).stdout).toContain('+made')
  })

  it('may have submodules and 50,000 files', async () => {
    const inner = await world.repository('inner', { 'inner.txt': 'inner\n' })
    const repo = await world.repository('large', { 'a.txt': 'a\n' })
    await world.git(repo, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', inner, 'mod')
    for (let folder = 0; folder < 50; folder++) {
      await mkdir(path.join(repo, `d${folder}`))
      await Promise.all(
        Array.from({ length: 1000 }, (_, file) =>
          writeFile(path.join(repo, `d${folder}`, `f${file}`), `${file}\n`),
        ),
      )
    }
    await world.git(repo, 'add', '-A')
    await world.git(repo, 'commit', '-qm', 'many')
    const { events, finished, said } = await agent(
      repo,
      "git ls-files | wc -l; git status --porcelain | wc -l; echo more >> d7/f7; git rm -q 'd8/f*'",
    )
    expect(said).toMatch(/^5000[0-9]\n/)
    expect(only(events, 'workspace.prepared')[0]?.data.files).toBeGreaterThan(50_000)
    expect(finished.data.diff).toMatchObject({ files: 1001, insertions: 1, deletions: 1000 })
    const applied = await world.forge(['apply', finished.run, '--branch', 'work'], { cwd: repo })
    expect(applied.code, applied.stderr).toBe(0)
    expect(await world.git(repo, 'ls-tree', 'work', 'mod')).toMatch(/^160000 commit/)
  }, 120_000)

  it('is not what the agent says it is: links out of it are not followed on the way back', async () => {
    const repo = await world.repository('links', { 'a.txt': 'a\n' })
    const outside = path.join(world.dir, 'outside')
    await mkdir(outside)
    const { finished } = await agent(
      repo,
      `ln -s ${outside} out; git add -A; git -c user.name=a -c user.email=a@b commit -qm link; rm out; mkdir out; echo x > out/x`,
    )
    await symlink(outside, path.join(repo, 'out'))
    const applied = await world.forge(['apply', finished.run], { cwd: repo })
    expect(applied.code).toBe(1)
    expect(existsSync(path.join(outside, 'x'))).toBe(false)
    await rename(path.join(repo, 'out'), path.join(repo, '.git/out'))
  })
})
