import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseBundleHeader, shallowCommits } from '#core/workspace/bundle.ts'
import type { GitUser } from './settings.ts'
import { type Snapshot, snapshotRepository } from './snapshot.ts'

/** A folder with a home for git's user, a work tree and room for temporary files; for tests. */
export interface Place extends Disposable {
  readonly dir: string
  readonly work: string
  readonly tmp: string
  readonly user: GitUser
  /** In the work tree, as the user would; gives back standard output. */
  sh(script: string, cwd?: string): string
  /** In the work tree, which must have files to take. */
  snapshot(directory?: string): Promise<Snapshot & { kind: 'bundle' }>
}

export function makePlace(): Place {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'forge-place-'))
  const [work, tmp, home] = ['work', 'tmp', 'home'].map((name) => path.join(dir, name)) as [
    string,
    string,
    string,
  ]
  for (const each of [work, tmp, home]) mkdirSync(each)
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    LC_ALL: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'User',
    GIT_AUTHOR_EMAIL: 'user@example.com',
    GIT_COMMITTER_NAME: 'User',
    GIT_COMMITTER_EMAIL: 'user@example.com',
  }
  const user: GitUser = { path: env.PATH, home }
  return {
    dir,
    work,
    tmp,
    user,
    sh: (script, cwd = work) =>
      execFileSync('bash', ['-euc', script], {
        cwd,
        env,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        maxBuffer: 256 << 20,
        timeout: 60_000,
      }),
    async snapshot(directory = work) {
      const made = await snapshotRepository(directory, { tmp, user })
      if (made.kind === 'none') throw new Error('there is nothing to take')
      return made
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** Everything below a folder with content, mode and time, to show that nothing of it was touched. */
export function fingerprint(root: string): string {
  const hash = createHash('sha256')
  const visit = (at: Buffer) => {
    const stat = lstatSync(at)
    hash.update(at).update(`\0${stat.mode} ${stat.mtimeMs} ${stat.ino}\0`)
    if (stat.isSymbolicLink()) hash.update(readlinkSync(at, { encoding: 'buffer' }))
    else if (stat.isFile()) hash.update(readFileSync(at))
    else if (stat.isDirectory())
      for (const name of readdirSync(at, { encoding: 'buffer' }).sort(Buffer.compare))
        visit(Buffer.concat([at, Buffer.from('/'), name]))
  }
  visit(Buffer.from(root))
  return hash.digest('hex')
}

/** Unpacks a bundle as its receiver does, into `dir/received`, and gives back that folder. */
export function receive(place: Place, bundlePath: string): string {
  const bytes = readFileSync(bundlePath)
  const header = parseBundleHeader(bytes)
  if (!header) throw new Error('the bundle has no header')
  const format = header.objectFormat
  const cut = shallowCommits(header).join('\n')
  place.sh(
    `rm -rf received; git init -q --bare --object-format=${format} received; ${cut === '' ? '' : `echo '${cut}' > received/shallow;`}
     git -C received bundle unbundle '${bundlePath}' > /dev/null`,
    place.dir,
  )
  return path.join(place.dir, 'received')
}
