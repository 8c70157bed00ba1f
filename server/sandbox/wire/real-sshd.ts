import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { Duplex } from 'node:stream'
import { ensureHostTools } from '../host-tools/ensure.ts'
import { findHostTools, type HostTools } from '../host-tools/find.ts'
import { makeKeyPair } from './keys.ts'
import { sshdConfig } from './sshd-config.ts'

/** Shared by the test files of this machine, which run side by side: apt works for one of them. */
export async function testHostTools(): Promise<HostTools> {
  const dir = path.join(os.tmpdir(), `forge-test-host-tools-${process.getuid?.()}`)
  await mkdir(dir, { recursive: true, mode: 0o755 })
  if ((await stat(dir)).uid !== process.getuid?.()) throw new Error(`${dir} belongs to someone else`)
  const present = await findHostTools(dir)
  if (present.tools !== null) return present.tools
  const lock = path.join(dir, 'lock')
  const startedAt = Date.now()
  while (
    !(await mkdir(lock).then(
      () => true,
      () => false,
    ))
  ) {
    // A run that was killed leaves its lock behind.
    if (Date.now() - startedAt > 90_000) await rm(lock, { recursive: true, force: true })
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  try {
    return await ensureHostTools({ dir, install: 'if-possible' })
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

/** One `sshd -i` on pipes, as tests of the wire use it: no sandbox around it, but a plain user of its own. */
export interface RealSshd extends AsyncDisposable {
  readonly user: string
  readonly home: string
  /** A file system of 1 MiB; null where the present user may not mount one. */
  readonly smallDisk: string | null
  /** Why there are no terminals; null where there are. */
  readonly noTerminals: string | null
  readonly clientPrivateKey: string
  readonly hostPublicKey: string
  /** A new server process. Its stream's `destroy` ends it. */
  open(): { readonly stream: Duplex; readonly pid: number; kill(): void }
}

/** Debian's; sshd gives a terminal's device to it, which only a member may do. */
const ttyGroup = 5
const guest = { name: 'forge', uid: 54_321 }

/** Under root the server runs as a user that only its own mount namespace knows; else as the present user. */
export async function realSshd(options: { setEnv?: Record<string, string> } = {}): Promise<RealSshd> {
  const tools = await testHostTools()
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-sshd-'))
  const asRoot = process.getuid?.() === 0
  const mayOwnTerminals = asRoot || (process.getgroups?.() ?? []).includes(ttyGroup)
  const client = makeKeyPair()
  const host = makeKeyPair()
  const at = (name: string) => path.join(dir, name)
  await mkdir(at('home'))
  await mkdir(at('small'))
  await writeFile(at('host_key'), host.privateKey, { mode: 0o600 })
  await writeFile(at('authorized_keys'), `${client.publicKey}\n`)
  const setEnv = Object.entries(options.setEnv ?? {}).map(([name, value]) => `${name}="${value}"`)
  const extra = setEnv.length === 0 ? '' : `SetEnv ${setEnv.join(' ')}\n`
  const paths = { hostKey: at('host_key'), authorizedKeys: at('authorized_keys') }
  await writeFile(at('sshd_config'), sshdConfig(paths) + extra)
  if (asRoot) {
    const { name, uid } = guest
    await writeFile(
      at('passwd'),
      `root:x:0:0::/root:/bin/bash\n${name}:x:${uid}:${uid}::${at('home')}:/bin/bash\n`,
    )
    await chmod(dir, 0o755)
    for (const owned of ['home', 'host_key']) await chown(at(owned), uid, uid)
  }
  const server = [tools.sshd.path, '-i', '-e', '-f', at('sshd_config')]
  const inside = `mount --bind ${at('passwd')} /etc/passwd && mount -t tmpfs -o size=1m,nr_inodes=50,mode=777 none ${at('small')} && exec setpriv --reuid ${guest.uid} --regid ${guest.uid} --groups ${ttyGroup} -- "$@"`
  const command = asRoot ? ['unshare', '--mount', 'sh', '-c', inside, 'sh', ...server] : server
  const pids = new Set<number>()
  return {
    user: asRoot ? guest.name : os.userInfo().username,
    home: at('home'),
    smallDisk: asRoot ? at('small') : null,
    noTerminals: mayOwnTerminals ? null : 'the present user is not in the group tty',
    clientPrivateKey: client.privateKey,
    hostPublicKey: host.publicKey,
    open() {
      const child = spawn(command[0] as string, command.slice(1), {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          LD_LIBRARY_PATH: (tools.unpacked?.libraryDirs ?? []).join(':'),
        },
      })
      const pid = child.pid as number
      pids.add(pid)
      child.on('exit', () => pids.delete(pid))
      // Duplex.from passes its end on to them as an error.
      for (const end of [child.stdin, child.stdout]) end.on('error', () => undefined)
      const stream = Duplex.from({ readable: child.stdout, writable: child.stdin })
      return { stream, pid, kill: () => child.kill('SIGKILL') }
    },
    async [Symbol.asyncDispose]() {
      for (const pid of pids) process.kill(pid, 'SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
