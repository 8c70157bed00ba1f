import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { findCaBundle } from '../../ca-bundle.ts'
import { guestEnv, sshdSetEnv } from '../../guest-env.ts'
import type { HostTools } from '../../host-tools/find.ts'
import { runCommand } from '../../host-tools/run.ts'
import { sshdConfig } from '../../wire/sshd-config.ts'
import { type Cgroups, openCgroups } from './cgroups.ts'
import type { Common } from './command.ts'
import { whyNoImages } from './disk.ts'
import { guestFiles, guestForge } from './guest-files.ts'
import { type Places, places } from './places.ts'
import { type Extra, hostArguments, kernelArguments } from './root-layout.ts'
import { type SeccompRule, sandboxRules, seccompProgram } from './seccomp.ts'
import type { Machine } from './syscalls.ts'
import { defaultUidRange, type UidRange, type Uids, uidClaims } from './uids.ts'

export interface BubblewrapOptions {
  /** Absolute, on a disk, and this server's alone. */
  readonly stateDir: string
  readonly tools: HostTools
  /** The effective uid of this process: 0 gives each sandbox a uid of its own. */
  readonly serverUid: number
  /**
   * Host programs to show inside beyond /usr: a file becomes a program of that name, of a folder its `bin` joins
   * the PATH. They come after the host's own.
   */
  readonly extraBin?: readonly string[]
  readonly uids?: UidRange
  /** For tests that take one protection away. */
  readonly seccompRules?: readonly SeccompRule[]
  readonly machine?: string
}

export interface Setup {
  readonly common: Common
  readonly cgroups: Cgroups
  readonly uids: Uids | null
  /** Null when each sandbox gets a disk image of its own. */
  readonly noImages: string | null
}

function supported(machine: string): Machine {
  if (machine === 'x64' || machine === 'arm64') return machine
  throw new ForgeError('provider_unavailable', `no system call filter for the processor ${machine}`)
}

async function describeExtras(options: BubblewrapOptions): Promise<{ extras: Extra[]; extraPath: string[] }> {
  const extras: Extra[] = []
  const extraPath: string[] = []
  const { unpacked } = options.tools
  if (unpacked !== null) {
    extras.push({ name: 'tools', source: unpacked.root, inside: guestForge.tools })
    extraPath.push(path.join(guestForge.tools, 'usr/bin'))
  }
  for (const [index, source] of (options.extraBin ?? []).entries()) {
    const found = await stat(source).catch(() => null)
    if (found === null)
      throw new ForgeError('config_invalid', `${source}, which sandboxes should see, does not exist`)
    const isDir = found.isDirectory()
    const inside = isDir ? `/opt/forge/extra/${index}` : path.join(guestForge.bin, path.basename(source))
    extras.push({ name: `extra${index}`, source: path.resolve(source), inside })
    extraPath.push(path.dirname(isDir ? `${inside}/bin/x` : inside))
  }
  return { extras, extraPath: [...new Set(extraPath)] }
}

/** Named by their content: servers of several versions may share a state folder one after another. */
async function writeShared(at: Places, files: readonly (Buffer | string)[]): Promise<string> {
  const digest = createHash('sha256')
  for (const file of files) digest.update(createHash('sha256').update(file).digest())
  const dir = path.join(at.shared, digest.digest('hex').slice(0, 16))
  if ((await stat(dir).catch(() => null)) !== null) return dir
  await mkdir(at.shared, { recursive: true, mode: 0o700 })
  const fresh = await mkdtemp(path.join(at.shared, 'new-'))
  for (const [index, content] of files.entries())
    await writeFile(path.join(fresh, String(index)), content, { mode: 0o600 })
  await rename(fresh, dir).catch(async (error: NodeJS.ErrnoException) => {
    await rm(fresh, { recursive: true, force: true })
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  return dir
}

const stages = ['/mnt', '/media', '/srv']

async function findStage(): Promise<string> {
  for (const dir of stages) if ((await stat(dir).catch(() => null))?.isDirectory() === true) return dir
  throw new ForgeError('provider_unavailable', `none of ${stages.join(', ')} exists to mount over`, {
    hint: 'run: sudo mkdir /mnt',
  })
}

/** From bubblewrap 0.7 on. */
async function canSizeTmpfs(tools: HostTools): Promise<boolean> {
  const env = { LD_LIBRARY_PATH: tools.unpacked?.libraryDirs.join(':') ?? '' }
  return (await runCommand(tools.bwrap, ['--help'], { env })).stdout.includes('--size ')
}

/** What all sandboxes share, written and measured once. */
export async function setUp(options: BubblewrapOptions): Promise<Setup> {
  const at = places(options.stateDir)
  const root = options.serverUid === 0
  const machine = supported(options.machine ?? process.arch)
  await mkdir(at.sandboxes, { recursive: true, mode: 0o700 })
  const { extras, extraPath } = await describeExtras(options)
  const config = sshdConfig({ hostKey: guestForge.hostKey, authorizedKeys: guestForge.authorizedKeys })
  const files = {
    ...guestFiles(extraPath),
    [guestForge.sshdConfig]: `${config}${sshdSetEnv(guestEnv({ extraPath, caBundle: await findCaBundle() }))}\n`,
  }
  const sizedTmpfs = await canSizeTmpfs(options.tools)
  const filter = seccompProgram(machine, options.seccompRules ?? sandboxRules)
  const shared = await writeShared(at, [...Object.values(files), filter])
  const sharedFiles = Object.keys(files)
  const common: Common = {
    places: at,
    tools: options.tools,
    machine,
    root,
    stage: root ? await findStage() : '/',
    hostArguments: await hostArguments(),
    kernelArguments: await kernelArguments(sizedTmpfs),
    sizedTmpfs,
    extras,
    shared,
    sharedFiles,
    seccompFile: path.join(shared, String(sharedFiles.length)),
  }
  return {
    common,
    cgroups: await openCgroups({ owner: at.owner, root }),
    uids: root ? uidClaims(options.uids ?? defaultUidRange, at.owner) : null,
    noImages: await whyNoImages(root),
  }
}
