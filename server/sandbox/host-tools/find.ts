import { constants } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import path from 'node:path'

/** Packages unpacked beside the system's own: the place of what a machine lacks and we may not install. */
interface UnpackedTools {
  /** Laid out like `/`. */
  readonly root: string
  /** Absolute; what LD_LIBRARY_PATH needs for a program from `root`. */
  readonly libraryDirs: readonly string[]
}

interface SshServer {
  readonly path: string
  /** From OpenSSH 9.8 and 10.0 on sshd runs these; null where it has none. */
  readonly sessionPath: string | null
  readonly authPath: string | null
}

/** Absolute paths on the host. What lies under `unpacked.root` needs `unpacked.libraryDirs` to run. */
export interface HostTools {
  readonly bwrap: string
  readonly perl: string
  readonly rg: string
  readonly sshd: SshServer
  readonly unpacked: UnpackedTools | null
}

const toolNames = ['bwrap', 'perl', 'rg', 'sshd'] as const
export type ToolName = (typeof toolNames)[number]

type FoundTools =
  | { readonly tools: HostTools; readonly missing: readonly [] }
  | { readonly tools: null; readonly missing: readonly ToolName[] }

/** Fixed, so that nothing in the caller's PATH can stand in for bwrap or sshd. */
const systemDirs = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  '/usr/lib/ssh',
]

export const unpackedRoot = (dir: string): string => path.join(dir, 'root')

const isExecutable = async (file: string): Promise<boolean> => {
  const found = await stat(file).catch(() => null)
  return (
    found?.isFile() === true &&
    (await access(file, constants.X_OK).then(
      () => true,
      () => false,
    ))
  )
}

async function firstExecutable(files: readonly string[]): Promise<string | null> {
  for (const file of files) if (await isExecutable(file)) return file
  return null
}

/** `/usr/lib` and the multi-architecture folders under it, as far as `root` has libraries there. */
async function libraryDirs(root: string): Promise<string[]> {
  const found: string[] = []
  for (const base of ['usr/lib', 'lib', 'usr/lib64']) {
    const dir = path.join(root, base)
    const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
    const dirs = [
      dir,
      ...entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(dir, entry.name)),
    ]
    for (const candidate of dirs)
      if ((await readdir(candidate).catch(() => [])).some((name) => /\.so(\.|$)/.test(name)))
        found.push(candidate)
  }
  return found
}

async function sshServer(file: string, root: string): Promise<SshServer> {
  const inLibexec = (name: string) =>
    firstExecutable(
      ['usr/lib/openssh', 'usr/lib/ssh', 'usr/libexec/openssh', 'usr/libexec'].map((dir) =>
        path.join(root, dir, name),
      ),
    )
  return { path: file, sessionPath: await inLibexec('sshd-session'), authPath: await inLibexec('sshd-auth') }
}

const findIn = (name: ToolName, prefix: string): Promise<string | null> =>
  firstExecutable(systemDirs.map((place) => path.join(prefix, place, name)))

/** What is in none of the system's folders. */
export async function systemLacks(): Promise<ToolName[]> {
  const found = await Promise.all(toolNames.map((name) => findIn(name, '/')))
  return toolNames.filter((_, index) => found[index] === null)
}

/** Looks in the system's folders first, then among what was unpacked into `dir`. Installs nothing. */
export async function findHostTools(dir: string): Promise<FoundTools> {
  const root = unpackedRoot(dir)
  const paths: Partial<Record<ToolName, string>> = {}
  for (const name of toolNames) {
    const file = (await findIn(name, '/')) ?? (await findIn(name, root))
    if (file !== null) paths[name] = file
  }
  const { bwrap, perl, rg, sshd } = paths
  if (bwrap === undefined || perl === undefined || rg === undefined || sshd === undefined)
    return { tools: null, missing: toolNames.filter((name) => paths[name] === undefined) }
  const isUnpacked = (file: string) => file.startsWith(`${root}${path.sep}`)
  const unpacked = [bwrap, rg, sshd].some(isUnpacked) ? { root, libraryDirs: await libraryDirs(root) } : null
  const ssh = await sshServer(sshd, isUnpacked(sshd) ? root : '/')
  return { tools: { bwrap, perl, rg, sshd: ssh, unpacked }, missing: [] }
}
