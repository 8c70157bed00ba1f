import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RunDiff } from '#core/workspace/workspace.ts'
import { type ApplyRequest, applyWork } from './apply.ts'
import { fingerprint, makePlace, type Place } from './fixture.ts'

let place: Place
beforeEach(() => {
  place = makePlace()
})
afterEach(() => place[Symbol.dispose]())

const init = 'git init -q -b main .'
const commit = 'git add -A; git commit -q -m one'
const branch = 'forge/run_0123456789'

/** What a run with this `script` as its agent brings back. */
async function work(script: string, from = place.work) {
  const { start, head, bundlePath } = await place.snapshot(from)
  place.sh(
    `rm -rf agent; git init -q agent; cd agent; git fetch -q '${bundlePath}' refs/forge/start; git switch -qc ${branch} FETCH_HEAD
     ${script}
     git add -A; git commit -qm work; git bundle create -q ../work.bundle ${branch} ${head === null ? '' : `^${head}`}
     git diff --binary --full-index -M ${start} HEAD > ../work.patch`,
    place.dir,
  )
  const tip = place.sh('git rev-parse HEAD', path.join(place.dir, 'agent')).trim()
  const stat = { files: 1, insertions: 0, deletions: 0 }
  const diff = RunDiff.parse({
    run: 'run_0123456789',
    branch,
    start,
    tip,
    head,
    stat,
    files: [],
    bundle: null,
    patch: null,
  })
  const request = (how: ApplyRequest['how'], repository: string): ApplyRequest => ({
    repository,
    diff,
    user: place.user,
    tmp: place.tmp,
    how,
  })
  const bundle = path.join(place.dir, 'work.bundle')
  return {
    diff,
    tree: (repository = place.work) =>
      applyWork(request({ mode: 'tree', patchPath: path.join(place.dir, 'work.patch') }, repository)),
    branch: (name: string, force = false) =>
      applyWork(request({ mode: 'branch', bundlePath: bundle, name, force }, place.work)),
  }
}

describe('to the working tree', () => {
  it('brings binaries, renames, modes and symbolic links, unstaged', async () => {
    place.sh(
      `${init}; seq 50 > numbers; head -c 9999 /dev/urandom > bin; echo x > run; echo gone > gone; ${commit}`,
    )
    const made =
      await work(`git mv numbers moved; echo 51 >> moved; head -c 9999 /dev/urandom > bin; chmod +x run; rm gone; ln -s moved link; mkdir d; echo n > d/'new
line'`)
    expect(await made.tree()).toEqual({ mode: 'tree', path: place.work, files: 1 })
    expect(place.sh(`diff -r --no-dereference --exclude=.git . ../agent; test -x run; readlink link`)).toBe(
      'moved\n',
    )
    expect(place.sh('git diff --cached --name-only')).toBe('')
  })

  it('goes on top of changes that were there at the start, in a subfolder too', async () => {
    place.sh(`${init}; mkdir sub; seq 9 > sub/n; ${commit}; echo mine >> sub/n; echo own > untracked`)
    const made = await work('echo theirs >> sub/n; echo more >> untracked')
    await made.tree(path.join(place.work, 'sub'))
    expect(place.sh('tail -2 sub/n; cat untracked')).toBe('mine\ntheirs\nown\nmore\n')
  })

  it('keeps changes elsewhere in the same file', async () => {
    place.sh(`${init}; seq 30 > n; ${commit}`)
    const made = await work('sed -i s/^3$/three/ n')
    place.sh('sed -i s/^28$/mine/ n')
    await made.tree()
    expect(place.sh('grep -n -e three -e mine n')).toBe('3:three\n28:mine\n')
  })

  it('writes line endings as the repository wants them in the work tree', async () => {
    place.sh(
      `${init}; printf '*.txt text eol=crlf\\n' > .gitattributes; printf 'a\\r\\nb\\r\\n' > a.txt; ${commit}`,
    )
    const made = await work(`printf 'a\\r\\nB\\r\\n' > a.txt`)
    await made.tree()
    expect(place.sh('cat a.txt')).toBe('a\r\nB\r\n')
    expect(place.sh('git diff --stat -- a.txt')).toContain('1 insertion')
  })

  it('works in an empty repository and in a plain folder', async () => {
    place.sh('echo a > a')
    const plain = await work('echo b >> a; echo new > new')
    await plain.tree()
    expect(place.sh('cat a new')).toBe('a\nb\nnew\n')
    place.sh(init)
    const made = await work('echo c >> a')
    await made.tree()
    expect(place.sh('tail -1 a; git status --porcelain')).toBe('c\n?? a\n?? new\n')
  })

  it('has nothing to do when nothing changed', async () => {
    place.sh(`${init}; echo a > a; ${commit}`)
    const made = await work('echo b > a')
    const diff = { ...made.diff, tip: made.diff.start }
    const how = { mode: 'tree', patchPath: '/nowhere' } as const
    expect(await applyWork({ repository: place.work, diff, user: place.user, tmp: place.tmp, how })).toEqual({
      mode: 'nothing',
    })
  })
})

describe('what would be overwritten', () => {
  const cases: [what: string, agent: string, user: string, file: string][] = [
    ['a tracked file changed in the same place', 'echo theirs > a', 'echo mine > a', 'a'],
    ['a changed file that the work deletes', 'rm a', 'echo mine >> a', 'a'],
    ['a file that the user deleted', 'echo theirs >> a', 'rm a', 'a'],
    ['an untracked file in the way', 'echo theirs > new', 'echo mine > new', 'new'],
    ['an ignored file in the way', 'echo theirs > x.log; git add -f x.log', 'echo mine > x.log', 'x.log'],
    ['a folder in the way', 'echo theirs > new', 'mkdir new; echo mine > new/file', 'new'],
    ['a file where the work needs a folder', 'mkdir new; echo theirs > new/file', 'echo mine > new', 'new'],
    ['a changed binary file', 'head -c 500 /dev/urandom > bin', 'head -c 500 /dev/urandom > bin', 'bin'],
    ['a changed target of a renamed file', 'git mv a moved', 'echo mine > moved', 'moved'],
    ['a symbolic link in place of a file', 'echo theirs >> a', 'rm a; ln -s ../outside a', 'a'],
  ]
  it.each(cases)('is refused: %s', async (_, agent, user, file) => {
    place.sh(
      `${init}; echo a > a; echo other > other; head -c 500 /dev/urandom > bin; echo '*.log' > .gitignore; ${commit}; echo outside > ../outside`,
    )
    const made = await work(`${agent}; echo theirs >> other; echo fresh > aaa-first`)
    place.sh(user)
    const before = fingerprint(place.work)
    await expect(made.tree()).rejects.toMatchObject({
      code: 'apply_conflict',
      data: { files: expect.arrayContaining([file]) },
    })
    expect(fingerprint(place.work)).toBe(before)
    expect(place.sh('cat ../outside')).toBe('outside\n')
  })

  it('puts everything back when writing fails on the way', async () => {
    place.sh(
      `${init}; echo a > a; echo z > z; ln -s a link; ${commit}; mkdir ../small; mount -t tmpfs -o size=64k tmpfs ../small 2> /dev/null || touch ../no-mount; cp -a a z link ../small/`,
    )
    const small = path.join(place.dir, 'small')
    if (place.sh('ls ..').includes('no-mount')) return
    try {
      const made = await work(
        'rm link; echo b >> a; mkdir -p n/m; echo n > n/m/n; rm z; mv a moved; head -c 200k /dev/urandom > zz',
      )
      await expect(made.tree(small)).rejects.toMatchObject({ code: 'apply_conflict' })
      expect(place.sh('ls; cat a z; readlink link', small)).toBe('a\nlink\nz\na\nz\na\n')
    } finally {
      place.sh('umount ../small')
    }
  })

  it.each([
    ['a folder that became a symbolic link', 'ln -s ../outside d', 'd/new'],
    ['a symbolic link that is there already', 'ln -s ../outside d', 'd/new'],
  ])('is nothing outside the repository: %s', async (_, user, file) => {
    place.sh(`${init}; echo a > a; ${commit}; mkdir ../outside`)
    const made = await work('mkdir d; echo evil > d/new')
    place.sh(user)
    await expect(made.tree()).rejects.toMatchObject({ code: 'apply_conflict', data: { files: [file] } })
    expect(place.sh('ls ../outside')).toBe('')
  })

  it.each(['../evil', '.git/hooks/post-checkout', 'd/../../evil', '.GIT/config', 'git~1/config'])(
    'is no file named %s of a hostile patch',
    async (name) => {
      place.sh(`${init}; echo a > a; ${commit}`)
      const made = await work('echo b > a')
      writeFileSync(
        path.join(place.dir, 'work.patch'),
        `diff --git a/${name} b/${name}\nnew file mode 100755\n--- /dev/null\n+++ b/${name}\n@@ -0,0 +1 @@\n+evil\n`,
      )
      const before = [fingerprint(place.work), place.sh('ls ..')]
      await expect(made.tree()).rejects.toMatchObject({ code: 'apply_conflict' })
      expect([fingerprint(place.work), place.sh('ls ..')]).toEqual(before)
    },
  )

  it('writes nothing through a symbolic link that the patch itself makes', async () => {
    place.sh(`${init}; echo a > a; ${commit}; mkdir ../outside`)
    const made = await work('echo b > a')
    writeFileSync(
      path.join(place.dir, 'work.patch'),
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+../outside\n\\ No newline at end of file\ndiff --git a/l/x b/l/x\nnew file mode 100644\n--- /dev/null\n+++ b/l/x\n@@ -0,0 +1 @@\n+evil\n',
    )
    await expect(made.tree()).rejects.toMatchObject({ code: 'apply_conflict' })
    expect(place.sh('ls ../outside; ls')).toBe('a\n')
  })
})

describe('as a branch', () => {
  it('brings the commits and leaves the working tree, the index and HEAD', async () => {
    place.sh(`${init}; echo a > a; ${commit}; echo mine > a; git add a; echo own > own`)
    const made = await work('echo theirs >> a; git commit -qam first; echo x > x')
    const before = place.sh('git status --porcelain; git rev-parse HEAD; git stash list; cat a own')
    expect(await made.branch('fix/it')).toEqual({ mode: 'branch', branch: 'fix/it', commit: made.diff.tip })
    expect(place.sh('git status --porcelain; git rev-parse HEAD; git stash list; cat a own')).toBe(before)
    expect(place.sh('git log --format=%s fix/it; git fsck --no-dangling')).toBe(
      'work\nfirst\nUncommitted changes at the start of the run\none\n',
    )
    expect(await made.branch('fix/it')).toMatchObject({ branch: 'fix/it' })
  })

  it('works before the first commit', async () => {
    place.sh(`${init}; echo a > a`)
    const made = await work('echo b > b')
    await made.branch('work')
    expect(place.sh('git ls-tree --name-only work')).toBe('a\nb\n')
  })

  it('refuses a branch with other commits, a checked-out one even by force', async () => {
    place.sh(`${init}; echo a > a; ${commit}`)
    const made = await work('echo b > a')
    place.sh('git branch taken; git commit -q --allow-empty -m two; git worktree add -q ../linked -b linked')
    for (const name of ['taken', 'main', 'linked'])
      await expect(made.branch(name)).rejects.toMatchObject({ code: 'conflict' })
    for (const name of ['main', 'linked'])
      await expect(made.branch(name, true)).rejects.toMatchObject({ code: 'conflict' })
    expect(await made.branch('taken', true)).toMatchObject({ commit: made.diff.tip })
    expect(place.sh('git rev-parse taken').trim()).toBe(made.diff.tip)
  })

  it.each(['', '-x', 'a..b', 'a b', 'refs/../x', '@', 'x.lock', '../x'])(
    'refuses the name %j',
    async (name) => {
      place.sh(`${init}; echo a > a; ${commit}`)
      const made = await work('echo b > a')
      await expect(made.branch(name)).rejects.toMatchObject({ code: 'invalid_input' })
    },
  )

  it('refuses a repository that lacks the start, and a bundle with another tip', async () => {
    place.sh(`${init}; echo a > a; ${commit}`)
    const made = await work('echo b > a')
    place.sh(`rm -rf .git; ${init}; echo other > other; ${commit}`)
    await expect(made.branch('work')).rejects.toMatchObject({ code: 'conflict' })
    const forged = { ...made.diff, tip: '1'.repeat(40) }
    const how = { mode: 'branch', bundlePath: path.join(place.dir, 'work.bundle'), name: 'work' } as const
    await expect(
      applyWork({ repository: place.work, diff: forged, user: place.user, tmp: place.tmp, how }),
    ).rejects.toMatchObject({ code: 'repository_invalid' })
    expect(place.sh('git branch --list work')).toBe('')
  })

  it('needs a repository', async () => {
    place.sh('echo a > a')
    const made = await work('echo b > a')
    await expect(made.branch('work')).rejects.toMatchObject({ code: 'invalid_input' })
  })
})
