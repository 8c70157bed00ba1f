import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assertCloneUrl } from './clone.ts'
import { branch, openRig, type Rig } from './rig.ts'

let rig: Rig
let url: string
let stop: () => void
const signal = new AbortController().signal

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

beforeAll(async () => {
  rig = await openRig()
  rig.sh(`git init -q -b main served/repo; cd served/repo; for i in $(seq 60); do git commit -q --allow-empty -m $i; done
    echo a > a; git add a; git commit -qm last; git tag v1; git switch -qc side; echo s > s; git add s; git commit -qm side; git switch -q main
    head -c 3M /dev/urandom > big; git switch -qc big; git add big; git commit -qm big; git switch -q main`)
  const port = await freePort()
  const base = path.join(rig.dir, 'served')
  const daemon = spawn(
    'git',
    ['daemon', '--export-all', `--base-path=${base}`, '--listen=127.0.0.1', `--port=${port}`, base],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/bin:/bin' }, detached: true },
  )
  stop = () => {
    if (daemon.pid !== undefined) process.kill(-daemon.pid, 'SIGKILL')
  }
  url = `git://127.0.0.1:${port}/repo`
  for (let attempt = 0; attempt < 100; attempt++)
    try {
      rig.sh(`git ls-remote ${url}`)
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
}, 120_000)
afterAll(async () => {
  stop?.()
  await rig?.[Symbol.asyncDispose]()
})

const prepare = (given: string, ref?: string, more = {}) =>
  rig
    .workspaces(more)
    .prepare(rig.wire, { kind: 'url', url: given, ...(ref ? { ref } : {}) }, { branch, signal })

describe('a repository given by URL', () => {
  it('comes with recent history, and its work goes on top', async () => {
    const prepared = await prepare(url)
    expect(prepared.head).toBe(prepared.start)
    expect(await rig.agent('git rev-list --count HEAD; git fsck --no-dangling; cat a')).toBe('50\na\n')
    await rig.agent('echo b > b')
    const captured = await rig.capture(prepared)
    expect(captured.files.map((file) => file.path)).toEqual(['b'])
  })

  it.each(['side', 'v1', 'refs/heads/side'])('starts from %s', async (ref) => {
    await prepare(url, ref)
    expect(await rig.agent('ls')).toBe(ref === 'v1' ? 'a\n' : 'a\ns\n')
  })

  it('is refused when it grows too large, or is not there', async () => {
    await expect(prepare(url, 'big', { limits: { packBytes: 1 << 20 } })).rejects.toMatchObject({
      code: 'too_large',
    })
    await expect(prepare(url, 'missing')).rejects.toMatchObject({ code: 'repository_invalid' })
    await expect(prepare(`${url}-not`)).rejects.toMatchObject({ code: 'repository_invalid' })
  })

  it.each(['--upload-pack=x', 'a:b', '+x', 'a..b', 'a b'])('takes no ref named %j', async (ref) => {
    await expect(prepare(url, ref)).rejects.toMatchObject({ code: 'invalid_input' })
  })

  it('shows no password in an error', async () => {
    const closed = await freePort()
    const failed = await prepare(`http://user:hunter2@127.0.0.1:${closed}/x.git`).catch(
      (error: Error) => error,
    )
    expect(JSON.stringify([failed, String(failed)])).not.toContain('hunter2')
    expect(failed).toMatchObject({ code: 'repository_invalid' })
  })
})

it.each([
  'file:///etc',
  '/srv/repo.git',
  './repo',
  '../repo',
  'repo',
  'ext::sh -c touch% x',
  'fd::17',
  '-oProxyCommand=x:y',
  'https://',
  'ftp://example.com/x',
  'https://example.com/a b',
  'https://example.com/a\n',
  'host:-x',
])('%j is no URL to clone from', (given) => {
  expect(() => assertCloneUrl(given)).toThrow(expect.objectContaining({ code: 'invalid_input' }))
})

it.each([
  'https://example.com/x.git',
  'http://127.0.0.1:3000/x',
  'ssh://git@example.com:22/x.git',
  'git@example.com:x/y.git',
  'git://example.com/x',
])('%j is one', (given) => {
  expect(() => assertCloneUrl(given)).not.toThrow()
})
