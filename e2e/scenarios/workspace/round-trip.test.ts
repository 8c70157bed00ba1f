import { createReadStream, createWriteStream } from 'node:fs'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { applyWork } from '#cli/workspace/apply.ts'
import { makePlace, type Place } from '#cli/workspace/fixture.ts'
import type { Digest } from '#core/id.ts'
import { RunDiff } from '#core/workspace/workspace.ts'
import { branch, openRig, type Rig } from '#server/workspace/rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await openRig()
}, 120_000)
afterAll(() => rig?.[Symbol.asyncDispose]())

/** From the user's folder into the sandbox, through the agent's hands, and back. */
async function roundTrip(place: Place, agent: string) {
  const snapshot = await place.snapshot()
  const { bundlePath, ...source } = snapshot
  const { digest } = await rig.blobs.put(createReadStream(bundlePath))
  const prepared = await rig.prepare({ ...source, digest })
  await rig.agent(agent)
  const captured = await rig.capture(prepared)
  const save = async (from: Digest | null, name: string) => {
    const file = path.join(place.tmp, name)
    if (from) await pipeline((await rig.blobs.open(from)).stream, createWriteStream(file))
    return file
  }
  const { start, head } = prepared
  const diff = RunDiff.parse({ ...captured, run: 'run_0123456789', branch, start, head })
  const request = { repository: place.work, diff, user: place.user, tmp: place.tmp }
  const [patch, bundle] = [await save(captured.patch, 'patch'), await save(captured.bundle, 'bundle')]
  return {
    captured,
    tree: () => applyWork({ ...request, how: { mode: 'tree', patchPath: patch } }),
    branch: () => applyWork({ ...request, how: { mode: 'branch', bundlePath: bundle, name: 'work' } }),
  }
}

const kinds: [kind: string, script: string][] = [
  [
    'a repository with uncommitted changes',
    'git init -q -b main .; echo a > a; seq 20 > n; git add -A; git commit -qm one; echo more >> a; echo u > u',
  ],
  ['a repository before its first commit', 'git init -q -b main .; echo a > a; seq 20 > n'],
  [
    'a sha256 repository',
    'git init -q -b main --object-format=sha256 .; echo a > a; seq 20 > n; git add -A; git commit -qm one; echo more >> a',
  ],
  [
    'a shallow clone',
    'git init -q -b main ../o; (cd ../o; echo a > a; seq 20 > n; git add -A; git commit -qm one; git commit -q --allow-empty -m two; git commit -q --allow-empty -m three); git clone -q --depth 2 file://$PWD/../o .; echo more >> a',
  ],
  ['a plain folder', 'echo a > a; seq 20 > n'],
]

it.each(kinds)('%s comes back as a patch and as a branch', async (kind, script) => {
  using place = makePlace()
  place.sh(script)
  const { tree, branch: asBranch } = await roundTrip(
    place,
    'echo agent >> a; sed -i s/^7$/seven/ n; git commit -qam own; echo new > new; ln -s new link',
  )
  if (kind !== 'a plain folder') {
    await asBranch()
    expect(place.sh('git show work:new; git fsck --no-dangling 2> /dev/null')).toBe('new\n')
  }
  expect(await tree()).toMatchObject({ mode: 'tree', files: 4 })
  expect(place.sh('tail -1 a; sed -n 7p n; readlink link; cat link')).toBe('agent\nseven\nnew\nnew\n')
  if (kind !== 'a plain folder') expect(place.sh('git add -A; git diff --cached work')).toBe('')
})

it('takes the gitlink of a submodule both ways', async () => {
  using place = makePlace()
  place.sh(`git init -q -b main ../lib; (cd ../lib; echo l > l; git add -A; git commit -qm l); git init -q -b main .
    git -c protocol.file.allow=always submodule -q add ../lib lib; git commit -qm sub; echo a > a`)
  const { captured, tree } = await roundTrip(place, 'ls lib; echo b > a')
  expect(captured.files.map((file) => file.path)).toEqual(['a'])
  await tree()
  expect(place.sh('cat a lib/l')).toBe('b\nl\n')
})

it('carries 50,000 files', async () => {
  using place = makePlace()
  place.sh(
    'git init -q -b main .; for d in $(seq 500); do mkdir d$d; for f in $(seq 100); do echo $d $f > d$d/$f; done; done; git add -A; git commit -qm one; echo changed > d7/7',
  )
  const { captured, tree } = await roundTrip(place, 'for d in d*; do echo agent >> $d/1; done')
  expect(captured.stat).toEqual({ files: 500, insertions: 500, deletions: 0 })
  await tree()
  expect(place.sh('cat d7/7; tail -1 d500/1')).toBe('changed\nagent\n')
}, 180_000)
