import path from 'node:path'
import type { HostTools } from '../../host-tools/find.ts'
import { imageName } from './disk.ts'
import { guestForge } from './guest-files.ts'
import { initScript } from './init-script.ts'
import { launchScript } from './launch-script.ts'
import { inDir, type Places } from './places.ts'
import {
  type Extra,
  fileArguments,
  isolationArguments,
  writableArguments,
  writableFolders,
} from './root-layout.ts'
import { type Machine, type SyscallName, syscallNumber } from './syscalls.ts'

/** What stays the same for every sandbox of one provider. */
export interface Common {
  readonly places: Places
  readonly tools: HostTools
  readonly machine: Machine
  readonly root: boolean
  /** An existing folder that the launch script mounts over, in its own mount namespace. */
  readonly stage: string
  readonly hostArguments: readonly string[]
  readonly kernelArguments: readonly string[]
  /** Whether this bwrap can limit a memory file system. */
  readonly sizedTmpfs: boolean
  readonly extras: readonly Extra[]
  /** Where the content of `sharedFiles` (paths inside) lies, each under its index. */
  readonly shared: string
  readonly sharedFiles: readonly string[]
  readonly seccompFile: string
}

export interface OneSandbox {
  readonly id: string
  readonly uid: number | null
  readonly image: boolean
  readonly join: readonly string[]
  /** For an rlimit, where no cgroup counts processes. */
  readonly pids: number | null
}

const numbers = (machine: Machine, names: readonly SyscallName[]): string =>
  names.map((name) => syscallNumber(machine, name)).join(',')

/** As the launch script and bwrap see a host path: under root everything but the system is below the stage. */
function staged(common: Common, extra: Extra): string {
  return common.root ? path.join(common.stage, extra.name) : extra.source
}

/** Where `file`, a path of the host, lies inside. */
function insidePath(common: Common, file: string): string {
  const { unpacked } = common.tools
  return unpacked !== null && file.startsWith(`${unpacked.root}/`)
    ? path.join(guestForge.tools, path.relative(unpacked.root, file))
    : file
}

function sshdCommand(common: Common): string[] {
  const { path: sshd, sessionPath, authPath } = common.tools.sshd
  const inTools = (file: string | null) => file !== null && insidePath(common, file) !== file
  return [
    insidePath(common, sshd),
    '-i',
    '-f',
    guestForge.sshdConfig,
    ...(inTools(sessionPath) ? ['-o', `SshdSessionPath=${insidePath(common, String(sessionPath))}`] : []),
    ...(inTools(authPath) ? ['-o', `SshdAuthPath=${insidePath(common, String(authPath))}`] : []),
  ]
}

function libraryPath(common: Common): string[] {
  const dirs = common.tools.unpacked?.libraryDirs ?? []
  return dirs.length === 0
    ? []
    : ['--setenv', 'LD_LIBRARY_PATH', dirs.map((dir) => insidePath(common, dir)).join(':')]
}

function bwrapArguments(common: Common, one: OneSandbox): string[] {
  const dir = common.places.dir(one.id)
  const disk = common.root ? path.join(common.stage, 'disk') : path.join(dir, inDir.disk)
  const init = [
    ...numbers(common.machine, ['prctl', 'prlimit64']).split(','),
    '@listener',
    String(one.pids ?? 0),
    common.places.mark(one.id),
  ]
  return [
    ...isolationArguments(),
    '--setenv',
    'PATH',
    '/usr/sbin:/usr/bin:/sbin:/bin',
    ...libraryPath(common),
    ...common.hostArguments,
    ...common.kernelArguments,
    ...common.extras.flatMap((extra) => ['--ro-bind', staged(common, extra), extra.inside]),
    ...writableArguments(disk, common.sizedTmpfs),
    ...fileArguments(common.shared, dir, common.sharedFiles),
    '--remount-ro',
    '/dev',
    '--remount-ro',
    '/',
    '--chdir',
    '/',
    '--seccomp',
    `@file:${common.seccompFile}`,
    '--json-status-fd',
    `@append:${path.join(dir, inDir.status)}`,
    '--',
    common.tools.perl,
    '-e',
    initScript,
    ...init,
    ...sshdCommand(common),
  ]
}

/** The launch script's command line, bwrap's included. */
export function launchArguments(common: Common, one: OneSandbox): string[] {
  const dir = common.places.dir(one.id)
  const disk = common.root ? path.join(common.stage, 'disk') : path.join(dir, inDir.disk)
  const args = ['-e', launchScript, `dir=${dir}`, ...one.join.map((group) => `cgroup=${group}`)]
  if (one.uid !== null) {
    args.push(`uid=${one.uid}`, `stage=${common.stage}`)
    args.push(
      `syscalls=${numbers(common.machine, ['mount', 'unshare', 'setgroups', 'setresgid', 'setresuid'])}`,
    )
    args.push(...common.extras.map((extra) => `bind=${extra.name}=${extra.source}`))
    args.push(one.image ? `image=${path.join(dir, imageName)}` : `bind=disk=${path.join(dir, inDir.disk)}`)
  }
  args.push(
    ...Object.keys(writableFolders(common.sizedTmpfs)).map((name) => `owned=${path.join(disk, name)}`),
  )
  const bwrap = common.tools.bwrap
  const { unpacked } = common.tools
  const isUnpacked = unpacked !== null && bwrap.startsWith(`${unpacked.root}/`)
  const program =
    isUnpacked && common.root ? path.join(common.stage, 'tools', path.relative(unpacked.root, bwrap)) : bwrap
  return [...args, '--', program, common.places.mark(one.id), ...bwrapArguments(common, one)]
}
