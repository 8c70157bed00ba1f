import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { guestAccount, WORKDIR } from '../../guest-env.ts'
import { guestForge, hostEtc } from './guest-files.ts'

/** Something of the host's that the sandbox sees read-only at a place of its own. */
export interface Extra {
  /** A name of one segment, unique. */
  readonly name: string
  readonly source: string
  readonly inside: string
}

/** Settings below /usr, where npm, git and others look for a host's tokens. */
const hiddenBelowUsr = ['/usr/etc', '/usr/local/etc']

/** bwrap arguments for the parts of the host's root that every sandbox sees alike. */
export async function hostArguments(): Promise<string[]> {
  const args = ['--ro-bind', '/usr', '/usr']
  for (const dir of hiddenBelowUsr)
    if ((await stat(dir).catch(() => null))?.isDirectory() === true)
      args.push('--tmpfs', dir, '--remount-ro', dir)
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const found = await lstat(`/${name}`).catch(() => null)
    if (found?.isSymbolicLink() === true) args.push('--symlink', await readlink(`/${name}`), `/${name}`)
    else if (found !== null) args.push('--ro-bind', `/${name}`, `/${name}`)
  }
  for (const file of hostEtc) {
    const found = await stat(file).catch(() => null)
    if (found === null || (found.mode & 0o004) === 0) continue
    // A copy costs less than a mount.
    if (found.isDirectory()) args.push('--ro-bind-try', await realpath(file), file)
    else args.push('--perms', '0644', '--file', `@file:${file}`, file)
  }
  return args
}

/** Kernel knobs that a process could turn where the host's permissions let it. */
const readOnlyProc = ['sys', 'sysrq-trigger', 'irq', 'bus', 'fs', 'acpi', 'scsi', 'mtrr']

const shmBytes = String(64 * 1024 * 1024)

/** `sizedTmpfs`: this bwrap can limit one; else /dev/shm lies on the sandbox's disk. */
export async function kernelArguments(sizedTmpfs: boolean): Promise<string[]> {
  const present = new Set(await readdir('/proc'))
  const proc = readOnlyProc.filter((name) => present.has(name)).map((name) => `/proc/${name}`)
  return [
    '--proc',
    '/proc',
    ...proc.flatMap((file) => ['--ro-bind', file, file]),
    '--dev',
    '/dev',
    ...(sizedTmpfs ? ['--size', shmBytes, '--perms', '1777', '--tmpfs', '/dev/shm'] : []),
  ]
}

/** Folders on the sandbox's own disk and where it sees them. */
export const writableFolders = (sizedTmpfs: boolean): Record<string, string> => ({
  work: WORKDIR,
  home: guestAccount.home,
  tmp: '/tmp',
  'var-tmp': '/var/tmp',
  ...(sizedTmpfs ? {} : { shm: '/dev/shm' }),
})

export const writableArguments = (disk: string, sizedTmpfs: boolean): string[] =>
  Object.entries(writableFolders(sizedTmpfs)).flatMap(([name, inside]) => [
    '--bind',
    path.join(disk, name),
    inside,
  ])

/** `file` tokens are resolved by the launch script, which can read what the sandbox's uid cannot. */
export function fileArguments(shared: string, dir: string, files: readonly string[]): string[] {
  const secret = { [guestForge.hostKey]: 'host_key', [guestForge.authorizedKeys]: 'authorized_keys' }
  return [
    ...files.flatMap((inside, index) => ['--perms', '0644', '--file', `@file:${shared}/${index}`, inside]),
    ...Object.entries(secret).flatMap(([inside, name]) => [
      '--perms',
      '0400',
      '--file',
      `@file:${path.join(dir, name)}`,
      inside,
    ]),
  ]
}

const namespaces = ['user', 'pid', 'net', 'ipc', 'uts', 'cgroup']

/** What keeps the sandbox in: namespaces, no capabilities, no terminal of the server's. */
export function isolationArguments(): string[] {
  return [
    ...namespaces.map((name) => `--unshare-${name}`),
    '--uid',
    String(guestAccount.uid),
    '--gid',
    String(guestAccount.gid),
    '--hostname',
    'sandbox',
    '--new-session',
    '--as-pid-1',
    '--cap-drop',
    'ALL',
    '--clearenv',
  ]
}
