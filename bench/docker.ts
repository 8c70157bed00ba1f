import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from './measure.ts'

export interface Docker extends AsyncDisposable {
  readonly unavailable: null
  readonly description: string
  /** `docker run --rm IMAGE true`, to its end. */
  runTrue(): Promise<void>
}

type Found = Docker | (AsyncDisposable & { readonly unavailable: string })

const tag = 'forge-bench:true'
const startLimitMs = 20_000

const missing = (reason: string): Found => ({
  unavailable: reason,
  [Symbol.asyncDispose]: async () => undefined,
})

/** As small as an image can be: `true` and the libraries it is linked with. */
async function makeImage(docker: (...args: string[]) => Promise<string>, scratch: string): Promise<void> {
  const root = path.join(scratch, 'image')
  const program = '/usr/bin/true'
  const linked = (await command('ldd', [program]).catch(() => '')).match(/\/\S+/g) ?? []
  for (const file of [program, ...linked])
    await cp(file, path.join(root, file), { recursive: true, dereference: true })
  const archive = path.join(scratch, 'image.tar')
  await command('tar', ['-C', root, '-cf', archive, '.'])
  await docker('import', archive, tag)
}

/** A daemon of our own beside whatever else there is: nothing of it is left when it has ended. */
async function ownDaemon(scratch: string): Promise<{ socket: string; child: ChildProcess } | string> {
  if (process.getuid?.() !== 0) return 'DOCKER_HOST is not set, and only root can start a Docker Engine'
  const version = await command('dockerd', ['--version']).catch(() => null)
  if (version === null) return 'DOCKER_HOST is not set, and dockerd is not installed'
  const dir = path.join(scratch, 'docker')
  await mkdir(dir, { recursive: true })
  const socket = `unix://${path.join(dir, 'sock')}`
  const places = ['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/pid`]
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false']
  const child = spawn('dockerd', [...places, ...network, '-H', socket, '--log-level', 'error'], {
    stdio: 'ignore',
  })
  const over = new Promise<true>((resolve) => {
    child.on('error', () => resolve(true))
    child.on('exit', () => resolve(true))
  })
  for (const deadline = Date.now() + startLimitMs; Date.now() < deadline; ) {
    if (
      await command('docker', ['-H', socket, 'version']).then(
        () => true,
        () => false,
      )
    )
      return { socket, child }
    if ((await Promise.race([over, sleep(50)])) === true) break
  }
  child.kill('SIGTERM')
  await over
  return 'DOCKER_HOST is not set, and dockerd does not start here'
}

async function stopDaemon(child: ChildProcess, dir: string): Promise<void> {
  const over = new Promise((resolve) => child.on('exit', resolve))
  child.kill('SIGTERM')
  await over
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.reverse().filter((each) => each.startsWith(`${dir}/`)))
    await command('umount', ['-l', mount]).catch(() => undefined)
  await rm(dir, { recursive: true, force: true })
}

/** The Docker Engine that DOCKER_HOST names, or one of our own. */
export async function findDocker(scratch: string): Promise<Found> {
  if ((await command('docker', ['--version']).catch(() => null)) === null)
    return missing('docker is not installed')
  const given = process.env.DOCKER_HOST
  const own = given === undefined ? await ownDaemon(scratch) : null
  if (typeof own === 'string') return missing(own)
  const socket = own?.socket ?? given ?? ''
  const docker = (...args: string[]) => command('docker', ['-H', socket, ...args])
  const stop = async () => {
    await docker('rmi', tag).catch(() => undefined)
    if (own !== null) await stopDaemon(own.child, path.join(scratch, 'docker'))
  }
  try {
    await makeImage(docker, scratch)
    const info = await docker(
      'info',
      '--format',
      '{{.ServerVersion}} with {{.DefaultRuntime}} on {{.Driver}}',
    )
    const runTrue = async () => {
      await docker('run', '--rm', '--network', 'none', tag, '/usr/bin/true')
    }
    await runTrue()
    return { unavailable: null, description: `Docker ${info.trim()}`, runTrue, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    return missing(`Docker runs no container here: ${(error as Error).message.trim().split('\n')[0]}`)
  }
}
