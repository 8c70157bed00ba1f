import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { RunSource } from '#core/run/run.ts'
import type { BlobStore } from '../ledger/blobs.ts'
import { fileBlobs } from '../ledger/file-blobs.ts'
import { connectWire } from '../sandbox/wire/connect.ts'
import { realSshd } from '../sandbox/wire/real-sshd.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { type GitWorkspacesOptions, gitWorkspaces } from './git-workspaces.ts'
import type { Captured, Prepared, Workspaces } from './workspace.ts'

export const branch = 'forge/run_0123456789'
const never = new AbortController().signal

/** A real sshd with a work tree behind it, and the server's side of workspaces; for tests. */
export interface Rig extends AsyncDisposable {
  readonly wire: Wire
  readonly blobs: BlobStore
  /** On this side of the wire. */
  readonly dir: string
  readonly workTree: string
  workspaces(more?: Partial<GitWorkspacesOptions>): Workspaces
  /** Runs in a folder of this side, by default a new one for each test; gives back standard output. */
  sh(script: string, cwd?: string): string
  /** Runs in the work tree as the agent would. */
  agent(script: string): Promise<string>
  prepare(source: RunSource): Promise<Prepared>
  capture(prepared: Prepared, more?: Partial<GitWorkspacesOptions>): Promise<Captured>
  /** A repository made by `script`, as an uploaded bundle that starts from its HEAD. */
  source(script: string): Promise<RunSource & { kind: 'bundle' }>
  text(captured: Captured, which: 'patch' | 'bundle'): Promise<Buffer>
}

const env = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'User',
  GIT_AUTHOR_EMAIL: 'user@example.com',
  GIT_COMMITTER_NAME: 'User',
  GIT_COMMITTER_EMAIL: 'user@example.com',
}

export async function openRig(): Promise<Rig> {
  const sshd = await realSshd()
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-workspace-'))
  const workTree = path.join(sshd.home, 'work')
  const wire = await connectWire(sshd.open().stream, sshd)
  const blobs = fileBlobs(path.join(dir, 'blobs'))
  await wire.run({ command: `mkdir -p ${workTree}` })
  let made = 0
  const sh: Rig['sh'] = (script, cwd = dir) =>
    execFileSync('bash', ['-euc', script], {
      cwd,
      env,
      encoding: 'utf8',
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const workspaces: Rig['workspaces'] = (more) =>
    gitWorkspaces({
      blobs,
      dir: path.join(dir, 'workspaces'),
      path: workTree,
      clock: { now: () => 1_800_000_000_000 },
      ...more,
    })
  return {
    wire,
    blobs,
    dir,
    workTree,
    workspaces,
    sh,
    async agent(script) {
      const done = await wire.run({ command: `set -e\n${script}`, cwd: workTree })
      if (done.code !== 0) throw new Error(`the agent's script failed: ${done.stderr.toString()}`)
      return done.stdout.toString()
    },
    prepare: (source) => workspaces().prepare(wire, source, { branch, signal: never }),
    capture: (prepared, more) =>
      workspaces(more).capture(wire, prepared, { message: 'The work', signal: never }),
    async source(script) {
      const repository = path.join(dir, `repository-${made++}`)
      await mkdir(repository)
      sh(
        `git init -q -b main .\n${script}\ngit update-ref refs/forge/start HEAD; git bundle create -q ../upload refs/forge/start`,
        repository,
      )
      const start = sh('git rev-parse HEAD', repository).trim()
      const { digest } = await blobs.put(createReadStream(path.join(dir, 'upload')))
      return { kind: 'bundle', digest, start, head: start, branch: 'main', path: repository }
    },
    async text(captured, which) {
      const digest = captured[which]
      return digest === null ? Buffer.alloc(0) : buffer((await blobs.open(digest)).stream)
    },
    async [Symbol.asyncDispose]() {
      wire.close()
      await sshd[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
