import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../host-tools/run.ts'
import { connectEngine } from './engine.ts'

/** A Docker Engine beside whatever else there is: nothing of it is left when it has been disposed of. */
export interface OwnEngine extends AsyncDisposable {
  readonly unavailable: null
  /** Its unix socket. */
  readonly socket: string
}

const startLimitMs = 30_000

async function answers(socket: string): Promise<boolean> {
  const docker = await connectEngine({ kind: 'unix', path: socket })
  return docker.ping().then(
    () => true,
    () => false,
  )
}

/** SIGTERM lets it end its containers and its containerd. */
async function stop(child: ChildProcess, dir: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const over = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await over
  }
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.reverse().filter((each) => each.startsWith(`${dir}/`)))
    await runCommand('umount', ['-l', mount])
  await rm(dir, { recursive: true, force: true })
}

/**
 * Starts `dockerd` for tests and benchmarks, with everything of it in the new folder `dir`, and no network.
 * It ends with this process, whatever ends that.
 */
export async function startOwnEngine(dir: string): Promise<OwnEngine | { readonly unavailable: string }> {
  if (process.getuid?.() !== 0) return { unavailable: 'only root can start a Docker Engine' }
  if ((await runCommand('dockerd', ['--version'])).code !== 0)
    return { unavailable: 'dockerd is not installed' }
  await mkdir(dir, { recursive: true })
  const socket = path.join(dir, 'sock')
  const places = ['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/pid`]
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false']
  const daemon = ['dockerd', ...places, ...network, '-H', `unix://${socket}`, '--log-level', 'error']
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...daemon], { stdio: 'ignore' })
  const over = new Promise<true>((resolve) => {
    child.on('error', () => resolve(true))
    child.on('exit', () => resolve(true))
  })
  for (const deadline = Date.now() + startLimitMs; Date.now() < deadline; ) {
    if (await answers(socket))
      return { unavailable: null, socket, [Symbol.asyncDispose]: () => stop(child, dir) }
    if ((await Promise.race([over, sleep(50)])) === true) break
  }
  await stop(child, dir)
  return { unavailable: 'dockerd does not start here' }
}
