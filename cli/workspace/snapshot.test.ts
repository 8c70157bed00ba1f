import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fingerprint, makePlace, type Place, receive } from './fixture.ts'
import { snapshotRepository } from './snapshot.ts'

let place: Place
beforeEach(() => {
  place = makePlace()
})
afterEach(() => place[Symbol.dispose]())

const init = 'git init -q -b main .'
const commit = 'git add -A; git commit -q -m one'

/** `MODE PATH CONTENT` of each file in the snapshot's start. */
async function files(directory?: string): Promise<string[]> {
  const { bundlePath, start } = await place.snapshot(directory)
  const received = receive(place, bundlePath)
  const listed = place.sh(`git ls-tree -r ${start}`, received).trim()
  return listed.split('\n').map((line) => {
    const [, mode = '', kind, object, name = ''] = /^(\d+) (\w+) (\w+)\t(.*)$/.exec(line) ?? []
    const content = kind === 'blob' ? place.sh(`git cat-file blob ${object}`, received) : object
    return `${mode} ${name} ${content}`
  })
}

describe('what a snapshot holds', () => {
  it('is HEAD itself when nothing is uncommitted', async () => {
    place.sh(`${init}; echo a > a; ${commit}; git remote add origin https://u:secret@example.com/x.git`)
    const made = await place.snapshot()
    expect(made).toMatchObject({ branch: 'main', path: place.work, origin: 'https://example.com/x.git' })
    expect(made.start).toBe(made.head)
  })

  it('has staged, unstaged, untracked and deleted files, without ignored ones', async () => {
    place.sh(`${init}; echo a > a; echo b > b; echo c > c; echo d > d; echo '*.log' > .gitignore; ${commit}
      echo staged > a; git add a; echo again > a; echo unstaged > b; rm c; git rm -q --cached d; rm d
      echo new > new; echo ignored > x.log; echo private > private; echo private >> .git/info/exclude
      mkdir -p ../home/.config/git; echo everywhere > ../home/.config/git/ignore; echo x > everywhere`)
    const before = fingerprint(place.work)
    expect(await files()).toEqual([
      '100644 .gitignore *.log\n',
      '100644 a again\n',
      '100644 b unstaged\n',
      '100644 new new\n',
    ])
    expect(fingerprint(place.work)).toBe(before)
    const made = await place.snapshot()
    expect(place.sh('git rev-parse HEAD').trim()).toBe(made.head)
    expect(place.sh(`git log --format=%P -1 ${made.start}`, receive(place, made.bundlePath)).trim()).toBe(
      made.head,
    )
  })

  it('sees a change of the same size within the second in which the index was written', async () => {
    // Only within one second, which is what git compares, does it depend on the index's own time.
    place.sh(
      `${init}; until [ $(date +%1N) = 0 ]; do sleep 0.02; done; echo a > a; ${commit}; echo b > a; sleep 1.1`,
    )
    expect(await files()).toEqual(['100644 a b\n'])
  })

  it('keeps modes, symbolic links and names that are hard to write', async () => {
    place.sh(
      `${init}; echo x > run; chmod +x run; ln -s /etc/passwd link; mkdir -p 'a "b"'; echo q > 'a "b"/'$'new\\nline'; ${commit}`,
    )
    place.sh(`printf y > $'\\xff\\xfe'; ln -sfn other link; echo q >> run`)
    const made = await place.snapshot()
    const listed = place.sh(`git ls-tree -r ${made.start}`, receive(place, made.bundlePath))
    expect(
      listed
        .split('\n')
        .map((line) => line.replace(/ \w+ \w+\t/, ' '))
        .slice(0, -1),
    ).toEqual(['100644 "a \\"b\\"/new\\nline"', '120000 link', '100755 run', '100644 "\\377\\376"'])
  })

  it('takes a file where a folder was and a folder where a file was', async () => {
    place.sh(
      `${init}; echo f > f; mkdir d; echo x > d/x; ${commit}; rm f; mkdir f; echo y > f/y; rm -r d; echo d > d`,
    )
    expect(await files()).toEqual(['100644 d d\n', '100644 f/y y\n'])
  })

  it('does not follow a symbolic link that replaced a folder', async () => {
    place.sh(`${init}; mkdir d; echo x > d/x; ${commit}; mv d ../elsewhere; ln -s ../elsewhere d`)
    expect(await files()).toEqual(['120000 d ../elsewhere'])
  })

  it('takes a merge in progress as the files lie there', async () => {
    place.sh(
      `${init}; echo a > a; ${commit}; git switch -qc other; echo o > a; git commit -qam o; git switch -q main; echo m > a; git commit -qam m; git merge -q other > /dev/null || true`,
    )
    expect((await files())[0]).toContain('<<<<<<< HEAD\nm\n=======\no\n>>>>>>> other')
  })

  it('leaves line endings as the repository keeps them', async () => {
    place.sh(
      `${init}; printf '*.txt text eol=crlf\\n' > .gitattributes; printf 'a\\r\\n' > a.txt; printf 'b\\r\\n' > b.bin; ${commit}; printf 'a2\\r\\n' > a.txt; printf 'b2\\r\\n' > b.bin`,
    )
    expect((await files()).slice(1)).toEqual(['100644 a.txt a2\n', '100644 b.bin b2\r\n'])
  })
})

describe('kinds of repositories', () => {
  it.each([
    ['sha1', 'git init -q -b main .'],
    ['sha256', 'git init -q -b main --object-format=sha256 .'],
  ])('reads %s object names', async (_, command) => {
    place.sh(`${command}; echo a > a; ${commit}; echo b > b`)
    expect(await files()).toEqual(['100644 a a\n', '100644 b b\n'])
  })

  it('has no head but files before the first commit', async () => {
    place.sh(`${init}; echo a > a; git add a; echo b > b`)
    const made = await place.snapshot()
    expect(made).toMatchObject({ head: null, branch: 'main' })
    expect(await files()).toHaveLength(2)
  })

  it('is nothing in an empty repository and in an empty folder', async () => {
    const options = { tmp: place.tmp, user: place.user }
    expect(await snapshotRepository(place.work, options)).toEqual({ kind: 'none' })
    place.sh(init)
    expect(await snapshotRepository(place.work, options)).toEqual({ kind: 'none' })
  })

  it('takes the files of a plain folder', async () => {
    place.sh(`echo a > a; mkdir -p node_modules; echo x > node_modules/x; echo node_modules > .gitignore`)
    const before = fingerprint(place.work)
    expect(await files()).toEqual(['100644 .gitignore node_modules\n', '100644 a a\n'])
    expect(fingerprint(place.work)).toBe(before)
  })

  it('never takes a folder that holds the home folder', async () => {
    place.sh('echo key > ../home/key')
    for (const directory of [place.user.home, place.dir])
      expect(await snapshotRepository(directory, { tmp: place.tmp, user: place.user })).toEqual({
        kind: 'none',
      })
  })

  it('refuses a plain folder that is too large, naming the largest file', async () => {
    place.sh('truncate -s 300M large')
    await expect(place.snapshot()).rejects.toMatchObject({ code: 'too_large', data: { largest: 'large' } })
  })

  it('works in a subfolder, on a detached HEAD, in a linked work tree, in a bare repository', async () => {
    place.sh(
      `${init}; mkdir sub; echo a > sub/a; ${commit}; git worktree add -q ../linked; git clone -q --bare . ../bare.git; git switch -q --detach; echo more >> sub/a`,
    )
    expect(await files(path.join(place.work, 'sub'))).toEqual(['100644 sub/a a\nmore\n'])
    expect((await place.snapshot()).branch).toBeNull()
    place.sh('echo linked > l', path.join(place.dir, 'linked'))
    expect(await files(path.join(place.dir, 'linked'))).toEqual(['100644 l linked\n', '100644 sub/a a\n'])
    expect((await place.snapshot(path.join(place.dir, 'linked'))).branch).toBe('linked')
    expect(await files(path.join(place.dir, 'bare.git'))).toEqual(['100644 sub/a a\n'])
  })

  it('reads objects through a path that git would have to quote', async () => {
    const odd = path.join(place.dir, '#odd "name"\n: \\x')
    mkdirSync(odd)
    place.sh(`${init}; echo a > a; ${commit}; echo b > b`, odd)
    expect(await files(odd)).toHaveLength(2)
  })

  it('keeps the commits of submodules and leaves their files', async () => {
    place.sh(`git init -q -b main ../lib; cd ../lib; echo l > l; ${commit}; cd ../work; ${init}
      git -c protocol.file.allow=always submodule -q add ../lib lib; git commit -qm sub; cd lib; echo more > m; ${commit}`)
    const inside = place.sh('git rev-parse HEAD', path.join(place.work, 'lib')).trim()
    expect(await files()).toContain(`160000 lib ${inside}`)
  })

  it('leaves nested repositories that nobody tracks', async () => {
    place.sh(`${init}; echo a > a; ${commit}; git init -q nested; echo x > nested/x; cd nested; ${commit}`)
    expect(await files()).toEqual(['100644 a a\n'])
  })

  it('leaves what a sparse checkout left', async () => {
    place.sh(
      `${init}; mkdir in out; echo i > in/i; echo o > out/o; ${commit}; git sparse-checkout set --cone in; echo more >> in/i`,
    )
    expect(await files()).toEqual(['100644 in/i i\nmore\n', '100644 out/o o\n'])
  })

  it('says what is wrong with a broken one', async () => {
    place.sh(`${init}; echo a > a; ${commit}; rm -rf .git/objects/??`)
    await expect(place.snapshot()).rejects.toMatchObject({ code: 'repository_invalid' })
    writeFileSync(path.join(place.dir, 'home', '.git'), 'gitdir: /nowhere\n')
    await expect(place.snapshot(place.user.home)).rejects.toMatchObject({ code: 'repository_invalid' })
    await expect(place.snapshot(path.join(place.dir, 'missing'))).rejects.toMatchObject({ code: 'not_found' })
    symlinkSync(place.work, path.join(place.dir, 'alias'))
    await expect(place.snapshot(path.join(place.dir, 'alias'))).rejects.toMatchObject({
      code: 'repository_invalid',
    })
  })
})

describe('history', () => {
  const commits = (count: number) => `for i in $(seq ${count}); do git commit -q --allow-empty -m $i; done`

  it('goes along whole when it is small', async () => {
    place.sh(`${init}; ${commits(60)}; echo x > x`)
    const made = await place.snapshot()
    expect(place.sh(`git rev-list --count ${made.start}`, receive(place, made.bundlePath)).trim()).toBe('61')
  })

  it('is cut when the packs are large, and the user’s HEAD keeps its name', async () => {
    place.sh(
      `${init}; head -c 70M /dev/urandom > big; ${commit}; git rm -q big; git commit -qm removed; ${commits(60)}; git repack -qad`,
    )
    const made = await place.snapshot()
    const received = receive(place, made.bundlePath)
    expect(place.sh(`git rev-list --count ${made.head}`, received).trim()).toBe('50')
    place.sh(`git rev-list --objects --quiet ${made.start}`, received)
    expect(place.sh('du -sm . | cut -f1', received).trim()).toBe('1')
  })

  it('takes a shallow clone as far as it goes', async () => {
    place.sh(
      `git init -q -b main ../origin; cd ../origin; ${commits(9)}; cd ..; rmdir work; git clone -q --depth 3 file://$PWD/origin work`,
    )
    place.sh('echo x > x')
    const made = await place.snapshot()
    const received = receive(place, made.bundlePath)
    expect(place.sh(`git rev-list --count ${made.start}`, received).trim()).toBe('4')
    place.sh(`git rev-list --objects --quiet ${made.start}`, received)
  })
})

it('takes 50,000 files', async () => {
  place.sh(
    `${init}; for d in $(seq 500); do mkdir d$d; for f in $(seq 100); do echo $d $f > d$d/$f; done; done; ${commit}; echo changed > d7/7`,
  )
  const made = await place.snapshot()
  expect(
    place.sh(`git ls-tree -r --name-only ${made.start} | wc -l`, receive(place, made.bundlePath)).trim(),
  ).toBe('50000')
}, 120_000)
