import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RunDiff } from '#core/workspace/workspace.ts'
import { applyWork } from './apply.ts'
import { makePlace, type Place } from './fixture.ts'

let place: Place
let canaries: string
beforeEach(() => {
  place = makePlace()
  canaries = path.join(place.dir, 'canaries')
  mkdirSync(canaries)
  writeFileSync(path.join(place.dir, 'canary'), `#!/bin/sh\ntouch ${canaries}/$1\n`, {
    mode: 0o755,
  })
})
afterEach(() => place[Symbol.dispose]())

/** Every setting of git that names a command, as far as a repository can set it. */
const commands = [
  'core.fsmonitor',
  'core.sshCommand',
  'core.gitProxy',
  'core.askPass',
  'core.editor',
  'core.pager',
  'core.alternateRefsCommand',
  'sequence.editor',
  'gpg.program',
  'gpg.ssh.program',
  'credential.helper',
  'diff.external',
  'diff.evil.command',
  'diff.evil.textconv',
  'filter.evil.clean',
  'filter.evil.smudge',
  'filter.evil.process',
  'filter.lfs.clean',
  'merge.evil.driver',
  'interactive.diffFilter',
  'remote.origin.uploadpack',
  'remote.origin.receivepack',
  'uploadpack.packObjectsHook',
  'pager.diff',
  'alias.diff-files',
  'alias.update-index',
  'hook.evil.command',
  'trailer.evil.command',
]

const hookNames = [
  'reference-transaction',
  'post-index-change',
  'pre-commit',
  'post-commit',
  'post-checkout',
  'pre-auto-gc',
  'proc-receive',
  'fsmonitor-watchman',
  'applypatch-msg',
  'pre-applypatch',
  'post-applypatch',
  'post-merge',
  'post-rewrite',
  'sendemail-validate',
  'pre-push',
]

/** A repository with uncommitted changes, in which whatever git may run for it leaves a canary. */
function makeHostile(): void {
  const canary = path.join(place.dir, 'canary')
  place.sh(`git init -q -b main .; git init -q --bare ../elsewhere.git
    echo a > a; echo b > b; mkdir sub; echo s > sub/s; printf '* filter=evil diff=evil merge=evil\\n' > .gitattributes
    git add -A; git commit -qm one; echo changed > a; echo new > new
    git init -q lib; cd lib; echo l > l; printf '* filter=evil\\n' > .gitattributes; git add -A; git commit -qm l; cd ..
    git add lib 2> /dev/null; git commit -qm lib; echo dirty >> lib/l
    echo ../../../elsewhere.git/objects > .git/objects/info/alternates`)
  const own = path.join(place.work, '.git')
  for (const gitDir of [own, path.join(place.work, 'lib/.git')]) {
    for (const name of hookNames)
      writeFileSync(path.join(gitDir, 'hooks', name), `#!/bin/sh\n${canary} hook-${name}\n`, { mode: 0o755 })
    place.sh(
      [
        ...commands.map((key) => `git config --file ${gitDir}/config ${key} '${canary} ${key}'`),
        `git config --file ${gitDir}/config hook.evil.event post-index-change`,
        `git config --file ${gitDir}/config remote.origin.url 'ext::${canary} ext'`,
        `git config --file ${gitDir}/config protocol.ext.allow always`,
        `git config --file ${gitDir}/config filter.evil.required true`,
        `git config --file ${gitDir}/config gc.auto 1`,
        `git config --file ${gitDir}/config fetch.fsckObjects false`,
      ].join('\n'),
      place.dir,
    )
  }
  writeFileSync(path.join(place.dir, 'included'), `[core]\n\tfsmonitor = ${canary} included\n`)
  place.sh(`git config --file .git/config include.path ${place.dir}/included`)
  rmCanaries()
}

const rmCanaries = () => place.sh('rm -f canaries/*', place.dir)
const seen = () => readdirSync(canaries).sort()

async function madeWork(): Promise<{ diff: RunDiff; bundlePath: string; patchPath: string }> {
  const { start, head, bundlePath } = await place.snapshot()
  const received = path.join(place.dir, 'agent')
  place.sh(
    `git init -q agent; cd agent; git fetch -q '${bundlePath}' refs/forge/start; git switch -qc forge/run_0123456789 FETCH_HEAD
     echo more >> a; echo added > added; git add -A; git commit -qm work
     git bundle create -q ../work.bundle forge/run_0123456789 ^${head}; git diff --binary ${start} HEAD > ../work.patch`,
    place.dir,
  )
  const tip = place.sh('git rev-parse HEAD', received).trim()
  const stat = { files: 2, insertions: 2, deletions: 0 }
  const diff = RunDiff.parse({
    run: 'run_0123456789',
    branch: 'forge/run_0123456789',
    start,
    tip,
    head,
    stat,
    files: [],
    bundle: null,
    patch: null,
  })
  return {
    diff,
    bundlePath: path.join(place.dir, 'work.bundle'),
    patchPath: path.join(place.dir, 'work.patch'),
  }
}

describe('a repository whose configuration, hooks and filters are hostile', () => {
  it('does get its way with plain git: the canaries can sing', () => {
    makeHostile()
    place.sh(
      'git status || true; git add a || true; git commit -m x || true; git diff || true; git branch other || true; git fetch || true',
    )
    expect(seen()).toEqual(
      expect.arrayContaining(['filter.evil.process', 'hook-reference-transaction', 'ext']),
    )
  })

  it('runs nothing when a snapshot is taken', async () => {
    makeHostile()
    await place.snapshot()
    await place.snapshot(path.join(place.work, 'sub'))
    await place.snapshot(path.join(place.work, 'lib'))
    expect(seen()).toEqual([])
  })

  it('runs nothing when work is applied to the tree', async () => {
    makeHostile()
    const { diff, patchPath } = await madeWork()
    rmCanaries()
    const applied = await applyWork({
      repository: place.work,
      diff,
      user: place.user,
      tmp: place.tmp,
      how: { mode: 'tree', patchPath },
    })
    expect(applied).toEqual({ mode: 'tree', path: place.work, files: 2 })
    expect(seen()).toEqual([])
    expect(place.sh('cat a added')).toBe('changed\nmore\nadded\n')
  })

  it('runs nothing when work is applied as a branch', async () => {
    makeHostile()
    const { diff, bundlePath } = await madeWork()
    rmCanaries()
    await applyWork({
      repository: place.work,
      diff,
      user: place.user,
      tmp: place.tmp,
      how: { mode: 'branch', bundlePath, name: 'work' },
    })
    expect(seen()).toEqual([])
    expect(existsSync(path.join(place.work, 'added'))).toBe(false)
  })

  it('fetches nothing for a partial clone', async () => {
    const canary = path.join(place.dir, 'canary')
    place.sh(`git init -q -b main .; echo a > a; git add -A; git commit -qm one; git repack -qad
      rm -f .git/objects/pack/*.idx; for pack in .git/objects/pack/*.pack; do mv $pack kept; done; rm -rf .git/objects/pack/*
      git init -q ../all; cp kept ../all/p; rm kept
      git config core.repositoryFormatVersion 1; git config extensions.partialClone origin
      git config remote.origin.url 'ext::${canary} lazy'; git config remote.origin.promisor true; git config protocol.ext.allow always`)
    await expect(place.snapshot()).rejects.toMatchObject({ code: 'repository_invalid' })
    expect(seen()).toEqual([])
  })
})
