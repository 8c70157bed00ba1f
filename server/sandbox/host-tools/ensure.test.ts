import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ensureHostTools, installCommands, packagesToUnpack } from './ensure.ts'
import { findHostTools, systemLacks } from './find.ts'
import { type RunCommand, runCommand } from './run.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'forge-host-tools-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const lacking = (await systemLacks()).length > 0
const why = 'nothing is missing on this machine'

describe('what apt is asked to bring', () => {
  const simulated = [
    'Inst openssh-client [1:9.2p1-2+deb12u6] (1:9.2p1-2+deb12u7 Debian-Security:12/oldstable [amd64]) []',
    'Inst libwrap0 (7.6.q-32 Debian:12.5/oldstable [amd64])',
    'Inst runit-helper (2.15.2 Debian:12.5/oldstable [all])',
    'Inst openssh-server (1:9.2p1-2+deb12u7 Debian-Security:12/oldstable [amd64])',
    'Conf libwrap0 (7.6.q-32 Debian:12.5/oldstable [amd64])',
  ].join('\n')

  it('is the package and missing libraries, no upgrade and no helper', () => {
    expect(packagesToUnpack(simulated, ['openssh-server'])).toEqual(['libwrap0', 'openssh-server'])
  })
})

describe('ensureHostTools', () => {
  it('says what to run when it may not install', async ({ skip }) => {
    skip(!lacking, why)
    const refused = ensureHostTools({ dir, install: 'never' })
    await expect(refused).rejects.toMatchObject({
      code: 'provider_unavailable',
      hint: expect.stringContaining('apt-get install'),
    })
    expect(await readdir(dir)).toEqual([])
  })

  it('says the same where there is no apt', async ({ skip }) => {
    skip(!lacking, why)
    const run: RunCommand = async () => ({ code: null, stdout: '', stderr: 'ENOENT' })
    await expect(ensureHostTools({ dir, install: 'if-possible', run })).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringContaining('no apt'),
    })
  })

  it('leaves nothing half done when apt fails at any step', async ({ skip }) => {
    skip(!lacking, why)
    for (const step of ['install', 'download', 'dpkg-deb']) {
      const run: RunCommand = (file, args, options) =>
        file === step || args.includes(step)
          ? Promise.resolve({ code: 100, stdout: '', stderr: 'E: it broke' })
          : runCommand(file, args, options)
      await expect(ensureHostTools({ dir, install: 'if-possible', run })).rejects.toMatchObject({
        code: 'provider_unavailable',
        message: expect.stringContaining('it broke'),
      })
      expect((await readdir(dir)).filter((name) => name !== 'apt')).toEqual([])
      expect((await findHostTools(dir)).tools).toBeNull()
    }
  })

  it('gets fresh lists once when apt does not find what they name', async ({ skip }) => {
    skip(!lacking, why)
    const calls: string[] = []
    const verbs = ['update', 'install', 'download']
    const run: RunCommand = async (file, args, options) => {
      const verb = args.find((argument) => verbs.includes(argument))
      if (verb === undefined) return runCommand(file, args, options)
      calls.push(verb)
      if (verb === 'update') return { code: 0, stdout: '', stderr: '' }
      const stale = !calls.includes('update')
      return stale ? { code: 100, stdout: '', stderr: 'E: 404' } : runCommand(file, args, options)
    }
    await ensureHostTools({ dir, install: 'if-possible', run }).catch(() => undefined)
    expect(calls.slice(0, 3)).toEqual(['install', 'update', 'install'])
    expect(calls.filter((verb) => verb === 'update')).toHaveLength(1)
  }, 120_000)

  it('brings them once, without a system service, and finds them again at once', async ({ skip }) => {
    skip(!lacking, why)
    const hadService = await stat('/etc/ssh/sshd_config').catch(() => null)
    const lines: string[] = []
    const tools = await ensureHostTools({
      dir,
      install: 'if-possible',
      onProgress: (line) => lines.push(line),
    })
    expect(lines.length).toBeGreaterThan(0)
    expect((await readdir(dir)).filter((name) => name.startsWith('unpacking'))).toEqual([])
    const run: RunCommand = () => Promise.reject(new Error('nothing should be run'))
    expect(await ensureHostTools({ dir, install: 'if-possible', run })).toEqual(tools)
    const env = { LD_LIBRARY_PATH: tools.unpacked?.libraryDirs.join(':') ?? '' }
    // sshd has no option that only tells its version before 9.x; an unknown one prints it.
    const version = await runCommand(tools.sshd.path, ['-?'], { env })
    expect(version.stderr).toContain('OpenSSH_')
    if (hadService === null) expect(await stat('/etc/ssh/sshd_config').catch(() => null)).toBeNull()
  }, 120_000)

  it('is not held up by what a killed one left', async ({ skip }) => {
    skip(!lacking, why)
    await mkdir(path.join(dir, 'unpacking-abc', 'root'), { recursive: true })
    expect((await findHostTools(dir)).tools).toBeNull()
    expect((await ensureHostTools({ dir, install: 'if-possible' })).unpacked?.root).toBe(
      path.join(dir, 'root'),
    )
  }, 120_000)
})

describe('the commands for a person', () => {
  it('name the packages', () => {
    expect(installCommands(['bwrap', 'sshd'], 1000).join()).toContain('bubblewrap openssh-server')
    expect(installCommands(['sshd'], 1000)[0]).toContain('sudo systemctl mask')
    expect(installCommands(['sshd'], 0).join()).not.toContain('sudo')
  })
})
