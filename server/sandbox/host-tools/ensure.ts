import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { findHostTools, type HostTools, systemLacks, type ToolName, unpackedRoot } from './find.ts'
import { type RunCommand, runCommand } from './run.ts'

interface EnsureOptions {
  /** Ours alone; what is unpacked lands in `DIR/root`. */
  readonly dir: string
  readonly install: 'never' | 'if-possible'
  readonly onProgress?: (line: string) => void
  /** For apt, over its own settings: `http_proxy` and `https_proxy`. */
  readonly env?: Record<string, string>
  readonly run?: RunCommand
}

const packageOf: Record<ToolName, string> = {
  bwrap: 'bubblewrap',
  perl: 'perl',
  rg: 'ripgrep',
  sshd: 'openssh-server',
}

/** Installing this one would start a system service and make host keys, so it is only ever unpacked. */
const neverInstalled: ReadonlySet<ToolName> = new Set(['sshd'])

/** What a person can run instead. Masked, the package's service is not started by installing it. */
export function installCommands(missing: readonly ToolName[], uid: number): string[] {
  // A bare machine has no sudo, and root needs none.
  const sudo = uid === 0 ? '' : 'sudo '
  const packages = missing.map((name) => packageOf[name]).join(' ')
  const install = `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${packages}`
  return missing.includes('sshd') ? [`${sudo}systemctl mask ssh.service ssh.socket`, install] : [install]
}

function unavailable(missing: readonly ToolName[], why: string): ForgeError {
  const commands = installCommands(missing, process.geteuid?.() ?? -1)
  return new ForgeError('provider_unavailable', `the host lacks ${missing.join(', ')}: ${why}`, {
    hint: `run: ${commands.join(' ; ')}`,
    data: { missing: [...missing], fix: commands },
  })
}

const isRoot = (): boolean => process.geteuid?.() === 0

interface Apt {
  run(args: readonly string[], cwd?: string): Promise<string>
}

const settings = [
  '-q',
  ...['Dpkg::Use-Pty=0', 'DPkg::Lock::Timeout=60', 'Acquire::Retries=1', 'Acquire::http::Timeout=20'].flatMap(
    (setting) => ['-o', setting],
  ),
]

/** Options with which a plain user's apt keeps its files in `dir`; its lists too when `ownLists`. */
async function userSettings(dir: string, ownLists: boolean): Promise<string[]> {
  const cache = path.join(dir, 'apt/cache')
  const lists = path.join(dir, 'apt/lists')
  await mkdir(path.join(cache, 'archives/partial'), { recursive: true })
  await mkdir(path.join(lists, 'partial'), { recursive: true })
  const own = ownLists ? ['-o', `Dir::State::Lists=${lists}`] : []
  return ['-o', 'Debug::NoLocking=1', '-o', `Dir::Cache=${cache}`, ...own]
}

/** apt without a prompt. Where its lists are missing or out of date it gets them once. */
async function openApt(options: EnsureOptions, missing: readonly ToolName[]): Promise<Apt> {
  const run = options.run ?? runCommand
  const root = isRoot()
  const found = await run('apt-get', ['--version'])
  if (found.code !== 0) throw unavailable(missing, 'and there is no apt to bring it with')
  const lists = await readdir('/var/lib/apt/lists').catch(() => [])
  let fresh = false
  let own = root ? [] : await userSettings(options.dir, false)
  const call = (args: readonly string[], cwd?: string) =>
    run('apt-get', [...settings, ...own, ...args], { cwd, env: options.env })
  const refused = (args: readonly string[], stderr: string) =>
    unavailable(missing, `apt-get ${args[0]} failed: ${stderr.trim().split('\n').slice(-3).join(' ')}`)
  const refresh = async () => {
    fresh = true
    if (!root) own = await userSettings(options.dir, true)
    const updated = await call(['update'])
    if (updated.code !== 0) throw refused(['update'], updated.stderr)
  }
  if (!lists.some((name) => name.includes('_Packages'))) await refresh()
  return {
    async run(args, cwd) {
      const first = await call(args, cwd)
      if (first.code === 0) return first.stdout
      if (fresh) throw refused(args, first.stderr)
      await refresh()
      const second = await call(args, cwd)
      if (second.code !== 0) throw refused(args, second.stderr)
      return second.stdout
    },
  }
}

/** `Inst libwrap0 (7.6.q-32 …)`: of what apt would add, the package itself and libraries. */
export function packagesToUnpack(simulated: string, wanted: readonly string[]): string[] {
  const added = [...simulated.matchAll(/^Inst (\S+) (\[)?/gm)]
    .filter(([, , upgraded]) => upgraded === undefined)
    .map(([, name]) => name ?? '')
  return added.filter((name) => wanted.includes(name) || name.startsWith('lib'))
}

/** Everything is unpacked into a folder beside the final one, which it replaces in one rename. */
async function unpack(apt: Apt, options: EnsureOptions, names: readonly ToolName[]): Promise<void> {
  const run = options.run ?? runCommand
  const wanted = names.map((name) => packageOf[name])
  const simulated = await apt.run(['install', '-s', '-y', '--no-install-recommends', ...wanted])
  const work = await mkdtemp(path.join(options.dir, 'unpacking-'))
  try {
    const fresh = path.join(work, 'root')
    const downloads = path.join(work, 'packages')
    await mkdir(fresh, { mode: 0o755 })
    await mkdir(downloads)
    await apt.run(['download', ...packagesToUnpack(simulated, wanted)], downloads)
    for (const file of await readdir(downloads)) {
      if (!file.endsWith('.deb')) continue
      const result = await run('dpkg-deb', ['-x', path.join(downloads, file), fresh])
      if (result.code !== 0) throw unavailable(names, `unpacking ${file} failed: ${result.stderr.trim()}`)
    }
    await rm(unpackedRoot(options.dir), { recursive: true, force: true })
    await rename(fresh, unpackedRoot(options.dir))
  } finally {
    await rm(work, { recursive: true, force: true })
    await rm(path.join(options.dir, 'apt'), { recursive: true, force: true })
  }
}

/**
 * The programs that the bubblewrap provider needs, brought by apt where they are missing and it may.
 * Quick when they are there. Throws `provider_unavailable` with the command to run.
 */
export async function ensureHostTools(options: EnsureOptions): Promise<HostTools> {
  const before = await findHostTools(options.dir)
  if (before.tools !== null) return before.tools
  const { missing } = before
  if (options.install === 'never') throw unavailable(missing, 'and installing is turned off')
  await mkdir(options.dir, { recursive: true, mode: 0o755 })
  const report = options.onProgress ?? (() => {})
  const apt = await openApt(options, missing)
  const installable = isRoot() ? missing.filter((name) => !neverInstalled.has(name)) : []
  if (installable.length > 0) {
    const packages = installable.map((name) => packageOf[name])
    report(`installing ${packages.join(', ')} with apt`)
    await apt.run(['install', '-y', '--no-install-recommends', ...packages])
  }
  if (missing.length > installable.length) {
    // Also what an earlier run unpacked: the new folder replaces the old one.
    const lacking = await systemLacks()
    report(`unpacking ${lacking.map((name) => packageOf[name]).join(', ')} into ${options.dir}`)
    await unpack(apt, options, lacking)
  }
  const after = await findHostTools(options.dir)
  if (after.tools === null)
    throw unavailable(after.missing, 'and it is not there after apt brought its package')
  return after.tools
}
