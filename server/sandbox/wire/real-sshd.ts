import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { Duplex } from 'node:stream'
import { makeKeyPair } from './keys.ts'
import { sshdConfig } from './sshd-config.ts'

/** An OpenSSH server binary and where its libraries are. */
export interface SshdBinary {
  readonly sshd: string
  readonly libraries: string
}

/** One `sshd -i` on pipes, as tests of the wire use it: no sandbox around it, but a plain user of its own. */
export interface RealSshd extends AsyncDisposable {
  readonly user: string
  readonly home: string
  readonly clientPrivateKey: string
  readonly hostPublicKey: string
  /** A new server process. Its stream's `destroy` ends it. */
  open(): { readonly stream: Duplex; readonly pid: number; kill(): void }
}

const guest = { name: 'forge', uid: 54_321 }

/** Under root the server runs as a user that only its own mount namespace knows; else as the present user. */
export async function realSshd(binary: SshdBinary): Promise<RealSshd> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-sshd-'))
  const asRoot = os.userInfo().uid === 0
  const client = makeKeyPair()
  const host = makeKeyPair()
  const at = (name: string) => path.join(dir, name)
  await mkdir(at('home'))
  await writeFile(at('host_key'), host.privateKey, { mode: 0o600 })
  await writeFile(at('authorized_keys'), `${client.publicKey}\n`)
  await writeFile(at('sshd_config'), sshdConfig({ hostKey: at('host_key'), authorizedKeys: at('authorized_keys') }))
  if (asRoot) {
    const { name, uid } = guest
    await writeFile(at('passwd'), `root:x:0:0::/root:/bin/bash\n${name}:x:${uid}:${uid}::${at('home')}:/bin/bash\n`)
    await chmod(dir, 0o755)
    for (const owned of ['home', 'host_key']) await chown(at(owned), uid, uid)
  }
  const server = [binary.sshd, '-i', '-e', '-f', at('sshd_config')]
  const inside = `mount --bind ${at('passwd')} /etc/passwd && exec setpriv --reuid ${guest.uid} --regid ${guest.uid} --clear-groups -- "$@"`
  const command = asRoot ? ['unshare', '--mount', 'sh', '-c', inside, 'sh', ...server] : server
  const pids = new Set<number>()
  return {
    user: asRoot ? guest.name : os.userInfo().username,
    home: at('home'),
    clientPrivateKey: client.privateKey,
    hostPublicKey: host.publicKey,
    open() {
      const child = spawn(command[0] as string, command.slice(1), {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LD_LIBRARY_PATH: binary.libraries },
      })
      const pid = child.pid as number
      pids.add(pid)
      child.on('exit', () => pids.delete(pid))
      const stream = Duplex.from({ readable: child.stdout, writable: child.stdin })
      return { stream, pid, kill: () => child.kill('SIGKILL') }
    },
    async [Symbol.asyncDispose]() {
      for (const pid of pids) process.kill(pid, 'SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
