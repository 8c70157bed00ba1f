import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Digest, RunId } from '#core/id.ts'
import type { ProviderReport } from '#core/sandbox/sandbox.ts'
import { buildProgram, serve, type TestProgram } from './testkit/program.ts'
import type { TestServer } from './testkit/server.ts'

let program: TestProgram
let server: TestServer

beforeAll(async () => {
  program = await buildProgram()
  server = await serve(program)
  server.runs.onCreate = () => {}
  await program.run(['run', 'mend it', '--detach'])
})
afterAll(async () => {
  await server?.kill()
  await program?.[Symbol.asyncDispose]()
})

const json = async (argv: readonly string[]) => JSON.parse((await program.run([...argv, '--json'])).stdout)

describe('forge diff', () => {
  const patch = Buffer.from('diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\u001b[31m\r\n')

  test('says when there is no work yet', async () => {
    const result = await program.run(['diff'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('has no work to show yet')
  })

  test('is the patch, byte for byte, where no terminal is', async () => {
    const digest = createHash('sha256').update(patch).digest('hex') as Digest
    server.blobs.set(digest, patch)
    const run = server.runs.runs[0]?.id as RunId
    const stat = { files: 1, insertions: 1, deletions: 1 }
    server.runs.diffs.set(run, {
      run,
      branch: 'forge/x',
      start: null,
      tip: null,
      head: null,
      stat,
      files: [
        {
          path: 'x',
          status: 'modified',
          oldMode: '100644',
          newMode: '100644',
          insertions: 1,
          deletions: 1,
          binary: false,
        },
      ],
      bundle: null,
      patch: digest,
    })
    expect((await program.run(['diff'])).stdout).toBe(patch.toString('utf8'))
    expect((await program.run(['diff', '--stat'])).stdout).toBe(' M x  +1 -1\n1 file changed, +1 -1\n')
    expect(await json(['diff'])).toMatchObject({ run, stat, patch: digest })
    expect(await program.run(['diff', '--stat', '--json'])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('forge doctor', () => {
  const report = (works: boolean): ProviderReport => ({
    id: 'bubblewrap',
    works,
    kernel: 'shared',
    bootMs: works ? 41 : null,
    detail: works ? 'bwrap 0.8.0' : 'bwrap is not installed',
    fix: works ? [] : ['apt-get install bubblewrap'],
    enforcement: works
      ? {
          memory: { enforced: true, how: 'cgroup v2' },
          pids: { enforced: true, how: 'cgroup v2' },
          disk: { enforced: false, how: 'no quota on ext4' },
          cpus: { enforced: true, how: 'cgroup v2' },
        }
      : null,
  })

  test('says what each provider is worth', async () => {
    server.sandboxes.reports = [report(true)]
    expect(await program.run(['doctor'])).toMatchObject({
      code: 0,
      stdout: `bubblewrap  works, first command after 41 ms, the host’s kernel
  bwrap 0.8.0
  memory  enforced: cgroup v2
  pids    enforced: cgroup v2
  disk    not enforced: no quota on ext4
  cpus    enforced: cgroup v2
`,
    })
    expect(await json(['doctor'])).toEqual([report(true)])
  })

  test('exits with 4 when none works, and says how to mend it', async () => {
    server.sandboxes.reports = [report(false)]
    const result = await program.run(['doctor'])
    expect(result.stdout).toContain('does not work')
    expect(result.stdout).toContain('apt-get install bubblewrap')
    expect(result.code).toBe(4)
  })
})

describe('forge config', () => {
  test('lists, sets, shows and unsets', async () => {
    const items: { id: string }[] = await json(['config', 'ls'])
    expect(items.map(({ id }) => id)).toContain('run.maxTurns')
    expect(await json(['config', 'set', 'run.maxTurns', '30'])).toMatchObject({ value: 30, source: 'file' })
    expect((await program.run(['config', 'get', 'run.maxTurns'])).stdout).toMatch(/^run\.maxTurns = 30\n/)
    expect(await json(['config', 'unset', 'run.maxTurns'])).toMatchObject({ value: null, source: 'default' })
  })

  test('never shows a secret, which may come on standard input', async () => {
    const result = await program.run(['config', 'set', 'model.anthropic.apiKey', '-'], {
      input: 'sk-secret\n',
    })
    expect(result.stdout).toContain('(set, not shown)')
    expect((await program.run(['config', 'ls'])).stdout).not.toContain('sk-secret')
  })

  test('names what there is instead of an unknown setting', async () => {
    const result = await program.run(['config', 'get', 'run.bogus'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('run.maxTurns')
  })
})

describe('forge runs', () => {
  test('shows, and cancels, the run that is meant', async () => {
    const run = await json(['runs', 'show', 'last'])
    expect(await json(['runs', 'show', run.id.slice(0, 6)])).toEqual(run)
    expect((await json(['runs', 'cancel', 'last'])).id).toBe(run.id)
    expect(server.runs.cancelled.at(-1)).toEqual({ id: run.id, outcome: 'cancelled' })
    expect(await program.run(['runs', 'show', 'run_zz'])).toMatchObject({ code: 1, stdout: '' })
  })
})

test('a reader that leaves ends a command quietly', async () => {
  const { child, result } = program.start(['completion', 'bash'])
  child.stdout?.destroy()
  expect(await result).toMatchObject({ code: 141, stderr: '' })
})
