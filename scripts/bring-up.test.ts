import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let checkout: string
beforeEach(async () => {
  checkout = path.join(await mkdtemp(path.join(tmpdir(), 'forge-bring-up-')), 'a checkout')
  await cp(import.meta.dirname, path.join(checkout, 'scripts'), { recursive: true })
  await mkdir(path.join(checkout, 'bin'))
  await writeFile(path.join(checkout, 'bin/forge.cjs'), '#!/bin/sh\necho the checkout’s own\n', {
    mode: 0o755,
  })
  await writeFile(path.join(checkout, 'package-lock.json'), '{}')
  await writeFile(path.join(checkout, 'package.json'), '{"name":"forge","version":"0.1.0","type":"module"}')
  await writeFile(path.join(checkout, 'scripts/build.ts'), "console.log('it is built')")
})
afterEach(() => rm(path.dirname(checkout), { recursive: true, force: true }))

/** Runs `script` with an npm that does what `npm` says, under this Node. */
async function runs(script: string, npm: string, interruptAfter?: string) {
  const bin = path.join(checkout, 'fake')
  await mkdir(bin, { recursive: true })
  await writeFile(path.join(bin, 'npm'), `#!/bin/sh\n${npm}\n`, { mode: 0o755 })
  const child = spawn(process.execPath, [path.join(checkout, 'scripts', script), '--fast'], {
    cwd: checkout,
    env: { PATH: `${bin}:${process.env.PATH}` },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  const { pid } = child
  if (interruptAfter !== undefined)
    child.stderr.on('data', (said: Buffer) => {
      // Like a terminal: to the whole group.
      if (pid !== undefined && said.includes(interruptAfter)) process.kill(-pid, 'SIGINT')
    })
  const code = new Promise((resolve) => child.on('exit', resolve))
  return { stderr: await text(child.stderr), code: await code }
}

describe('bringing a checkout up', () => {
  it('installs once, and again when the lock changed or it was cut off', async () => {
    const npm = 'echo "npm $1" >&2; mkdir -p node_modules/.bin'
    expect((await runs('check.mjs', npm)).stderr).toContain('npm ci')
    expect(await readFile(path.join(checkout, 'node_modules/.bin/forge'), 'utf8')).toContain('own')
    const again = (await runs('check.mjs', npm)).stderr
    expect(again).not.toContain('npm ci')
    expect(again).toContain('it is built')
    await writeFile(path.join(checkout, 'package-lock.json'), '{"changed":true}')
    expect((await runs('check.mjs', 'exit 3')).stderr).toContain('npm ci')
    expect((await runs('check.mjs', npm)).stderr).toContain('npm ci')
  })

  it('says in a sentence what failed and what to do, before anything else is tried', async () => {
    const { stderr, code } = await runs('quickstart.mjs', 'echo "ENOTFOUND registry" >&2; exit 1')
    expect(code).toBe(1)
    expect(stderr).toContain('ENOTFOUND registry')
    expect(stderr).toMatch(/forge: installing dependencies.* failed: npm ci .* ended with 1\n.*npm ping/)
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(stderr).not.toContain('it is built')
    expect(await readdir(checkout)).not.toContain('node_modules')
  })

  it('ends with 130 on Ctrl-C, whatever the command under way makes of it', async () => {
    const npm = "trap 'exit 1' INT; echo under way >&2; while :; do sleep 0.05; done"
    const { stderr, code } = await runs('quickstart.mjs', npm, 'under way')
    expect(code).toBe(130)
    expect(stderr).not.toContain('failed')
  })
})
