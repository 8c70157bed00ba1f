import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ExecRequest } from '../sandbox/wire/wire.ts'
import { branch, openRig, type Rig } from './rig.ts'
import type { Captured } from './workspace.ts'

let rig: Rig
beforeAll(async () => {
  rig = await openRig()
}, 120_000)
afterAll(() => rig?.[Symbol.asyncDispose]())

const plain = 'echo a > a; echo b > b; echo "*.log" > .gitignore; git add -A; git commit -qm one'

/** What comes out of a run with this script as its agent. */
async function work(agent: string, user = plain) {
  const source = await rig.source(user)
  const prepared = await rig.prepare(source)
  await rig.agent(agent)
  return { source, prepared, captured: await rig.capture(prepared) }
}

/** The subjects of the commits that the bundle brings, newest first, and the files of its tip. */
async function fetched(captured: Captured, repository: string): Promise<{ log: string[]; files: string[] }> {
  writeFileSync(path.join(rig.dir, 'work.bundle'), await rig.text(captured, 'bundle'))
  const git = 'git -c transfer.fsckObjects=true'
  const log = rig.sh(
    `git bundle verify -q ../work.bundle; ${git} fetch -q ../work.bundle ${branch}; git log --format=%s HEAD..FETCH_HEAD`,
    repository,
  )
  const files = rig.sh('git ls-tree -r --name-only FETCH_HEAD', repository)
  return { log: log.trim().split('\n'), files: files.trim().split('\n') }
}

const names = (captured: Captured) => captured.files.map((file) => `${file.status} ${file.path}`)

describe('what comes out', () => {
  it('is nothing when nothing changed', async () => {
    const { captured, source } = await work('touch a; echo x > x.log')
    expect(captured).toMatchObject({ tip: source.start, files: [], bundle: null, patch: null, warnings: [] })
  })

  it('is the agent’s own commits and one with the rest', async () => {
    const { captured, source } = await work(
      'echo more >> a; git commit -qam first; echo c > c; git add c; echo d > d; rm b; echo x > x.log',
    )
    expect(captured.stat).toEqual({ files: 4, insertions: 3, deletions: 1 })
    expect(names(captured)).toEqual(['modified a', 'deleted b', 'added c', 'added d'])
    expect(await fetched(captured, source.path)).toEqual({
      log: ['The work', 'first'],
      files: ['.gitignore', 'a', 'c', 'd'],
    })
    expect(rig.sh('git log -1 --format="%an <%ae> %ct" FETCH_HEAD', source.path)).toBe(
      'Forge agent <agent@forge.invalid> 1800000000\n',
    )
  })

  it('describes binaries, renames, modes, links and odd names, and its patch applies', async () => {
    const { captured, source } = await work(
      `printf 'a\\0b' > bin; git mv long 'new
name'; echo 21 >> 'new
name'; chmod +x run; ln -s run link; rm b; ln -s a b; printf x > $'\\xff'; printf 'cr\\r\\n' >> crlf`,
      'seq 20 > long; echo r > run; echo b > b; printf "x\\r\\n" > crlf; git add -A; git commit -qm one',
    )
    expect(captured.files).toEqual([
      expect.objectContaining({ path: 'b', status: 'type_changed', oldMode: '100644', newMode: '120000' }),
      expect.objectContaining({ path: 'bin', status: 'added', binary: true, insertions: null }),
      expect.objectContaining({ path: 'crlf', status: 'modified', insertions: 1, deletions: 0 }),
      expect.objectContaining({ path: 'link', newMode: '120000' }),
      expect.objectContaining({ path: 'new\nname', from: 'long', status: 'renamed', insertions: 1 }),
      expect.objectContaining({ path: 'run', oldMode: '100644', newMode: '100755', insertions: 0 }),
      expect.objectContaining({ path: '\ufffd', status: 'added' }),
    ])
    writeFileSync(path.join(rig.dir, 'patch'), await rig.text(captured, 'patch'))
    rig.sh('git apply --index ../patch', source.path)
    expect(rig.sh('git write-tree', source.path)).toBe(
      rig.sh(`git fetch -q ../work.bundle ${branch} 2> /dev/null || true; git write-tree`, source.path),
    )
  })

  it('starts from nothing without a repository', async () => {
    const prepared = await rig.prepare({ kind: 'none' })
    expect(prepared).toMatchObject({ start: null, head: null, files: 0 })
    expect((await rig.capture(prepared)).tip).toBeNull()
    await rig.agent('mkdir d; echo a > d/a; git add -A; git commit -qm own; echo b > b')
    const captured = await rig.capture(prepared)
    expect(names(captured)).toEqual(['added b', 'added d/a'])
    rig.sh('git init -q empty')
    expect((await fetched({ ...captured }, path.join(rig.dir, 'empty')).catch(() => null)) ?? 'no HEAD').toBe(
      'no HEAD',
    )
    expect(rig.sh('git ls-tree -r --name-only FETCH_HEAD', path.join(rig.dir, 'empty'))).toBe('b\nd/a\n')
  })

  it('comes out again of another process of the server', async () => {
    const { prepared, captured } = await work('echo more >> a')
    expect((await rig.capture(prepared)).tip).toBe(captured.tip)
  })

  it('has files that the agent marked as unchanged', async () => {
    const { captured } = await work('git update-index --assume-unchanged a; echo more >> a')
    expect(names(captured)).toEqual(['modified a'])
  })
})

describe('an agent that does odd things to its repository', () => {
  const cases: [what: string, script: string, files: string[], log: string[]][] = [
    ['amends the start', 'echo x > x; git add x; git commit -q --amend -m mine', ['added x'], ['The work']],
    [
      'throws the history away',
      'git checkout -q --orphan o; echo x > x; git add -A; git commit -qm o',
      ['added x'],
      ['The work'],
    ],
    [
      'switches the branch',
      'git switch -qc other; echo x > x; git add x; git commit -qm other',
      ['added x'],
      ['other'],
    ],
    [
      'detaches HEAD',
      'git switch -q --detach; echo x > x; git add x; git commit -qm loose',
      ['added x'],
      ['loose'],
    ],
    ['deletes .git', 'rm -rf .git; echo x > x; rm b', ['deleted b', 'added x'], ['The work']],
    [
      'begins anew',
      'rm -rf .git; git init -q; git config user.name x; git config user.email y; echo x > x; git add -A; git commit -qm new',
      ['added x'],
      ['The work'],
    ],
    ['makes .git a file', 'rm -rf .git; echo junk > .git; echo x > x', ['added x'], ['The work']],
    ['breaks the index', 'head -c 999 /dev/urandom > .git/index; echo x > x', ['added x'], ['The work']],
    ['breaks the configuration', 'echo "[junk" > .git/config; echo x > x', ['added x'], ['The work']],
    ['breaks HEAD', 'echo junk > .git/HEAD; echo x > x', ['added x'], ['The work']],
    ['leaves a lock', 'touch .git/index.lock .git/HEAD.lock; echo x > x', ['added x'], ['The work']],
    [
      'stops in a merge',
      'git switch -qc o; echo o > a; git commit -qam o; git switch -q -; echo m > a; git commit -qam m; git merge o || true',
      ['modified a'],
      ['The work', 'm'],
    ],
  ]
  it.each(cases)('%s', async (_, script, files, log) => {
    const { captured, source } = await work(script)
    expect(names(captured)).toEqual(files)
    expect((await fetched(captured, source.path)).log).toEqual(log)
    expect(rig.sh(`git merge-base --is-ancestor ${source.start} FETCH_HEAD && echo yes`, source.path)).toBe(
      'yes\n',
    )
  })

  it('leaves nested repositories behind and says so, but keeps declared submodules', async () => {
    const lib = 'git -c init.defaultBranch=m init -q'
    const commit = 'git -c user.name=x -c user.email=y commit -q --allow-empty -m x'
    const { captured } = await work(
      `for n in nested lib; do ${lib} $n; (cd $n; echo f > f; git add f; ${commit}); done
       printf '[submodule "lib"]\\n\\tpath = lib\\n\\turl = https://example.com/lib.git\\n' > .gitmodules; echo x > x`,
    )
    expect(names(captured)).toEqual(['added .gitmodules', 'added lib', 'added x'])
    expect(captured.warnings).toEqual([expect.stringContaining('nested')])
  })

  it('runs its hooks, filters and settings inside, never on the server', async () => {
    const canaries = path.join(rig.dir, 'canaries')
    rig.sh(`mkdir -p ${canaries}; chmod 777 ${canaries}; chmod 711 .`)
    const canary = `sh -c "touch ${canaries}/$(id -u)"`
    const { captured } = await work(
      `printf '* filter=evil diff=evil merge=evil\\n' > .gitattributes
       me="sh -c 'touch ${canaries}/\\$(id -u)'"
       for k in core.fsmonitor diff.external diff.evil.command diff.evil.textconv filter.evil.clean filter.evil.smudge core.sshCommand core.alternateRefsCommand uploadpack.packObjectsHook core.pager; do git config $k "$me"; done
       for h in post-index-change reference-transaction pre-commit; do printf '#!/bin/sh\\n%s\\n' "$me" > .git/hooks/$h; chmod +x .git/hooks/$h; done 2> /dev/null || true
       echo x > x`,
    )
    expect(canary).toContain('touch')
    expect(names(captured)).toEqual(['added .gitattributes', 'added x'])
    expect(rig.sh(`ls ${canaries}`).split('\n')).not.toContain(String(process.getuid?.()))
  })
})

describe('an agent that is hostile', () => {
  const evil = 'blob=$(echo "#!/bin/sh" | git hash-object -w --stdin)'
  const commitTree = 'git update-ref HEAD $(git commit-tree -p HEAD -m evil $tree)'
  it.each(['.git', '.GIT', '..', '.', 'git~1', '.g\u200cit', '.git. '])(
    'gets no entry named %j out',
    async (name) => {
      const { captured, source } = await work(
        `${evil}
         hooks=$(printf '100755 blob %s\\tpost-checkout\\n' $blob | git mktree)
         tree=$( { git ls-tree HEAD; printf '040000 tree %s\\t%s\\n' $hooks '${name}'; } | git mktree)
         ${commitTree}; echo x > x`,
      )
      expect(names(captured)).toEqual(['added x'])
      expect(captured.warnings).toHaveLength(1)
      expect((await fetched(captured, source.path)).files).toEqual(['.gitignore', 'a', 'b', 'x'])
      expect((await rig.text(captured, 'patch')).toString()).not.toContain('post-checkout')
    },
  )

  it('is told when what it says is not understood', async () => {
    const prepared = await rig.prepare(await rig.source(plain))
    for (const said of [
      'lies',
      `${'0'.repeat(40)} -`,
      `${'0'.repeat(40)} ${'1'.repeat(40)}; head -c 999 /dev/urandom`,
    ]) {
      const wire = {
        ...rig.wire,
        exec: (request: ExecRequest) => rig.wire.exec({ ...request, command: `echo ${said}` }),
      }
      const captured = rig
        .workspaces()
        .capture(wire, prepared, { message: 'x', signal: AbortSignal.timeout(60_000) })
      await expect(captured).rejects.toMatchObject({ code: 'repository_invalid' })
    }
  })

  it.each([
    ['packed', { packBytes: 1 << 20 }, 'head -c 3M /dev/urandom > big'],
    ['unpacked', { objectBytes: 1 << 20 }, 'head -c 3M /dev/zero > big'],
  ])('brings no more than the limit, %s', async (_, limits, script) => {
    const prepared = await rig.prepare(await rig.source(plain))
    await rig.agent(script)
    await expect(rig.capture(prepared, { limits })).rejects.toMatchObject({ code: 'too_large' })
  })

  it('makes no endless diff of a small tree', async () => {
    const prepared = await rig.prepare(await rig.source(plain))
    await rig.agent(
      `tree=$(git write-tree); for level in $(seq 12); do tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\t%s\\n' $tree $i; done | git mktree); done
       ${commitTree}; git read-tree --empty`,
    )
    const captured = await rig.capture(prepared).catch((error: unknown) => error)
    expect(captured).toMatchObject({ bundle: expect.anything() })
  })

  it('gets a branch but no patch for work that is too large for one', async () => {
    const prepared = await rig.prepare(await rig.source(plain))
    await rig.agent('head -c 100k /dev/urandom > big')
    const captured = await rig.capture(prepared, { limits: { patchBytes: 1000 } })
    expect(captured).toMatchObject({
      patch: null,
      bundle: expect.any(String),
      warnings: [expect.any(String)],
    })
  })
})
