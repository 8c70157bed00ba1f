import { spawn } from 'node:child_process'
import { appendFile, chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBinaries } from '#server/store/embedded/binaries.ts'
import type { Benchmark, Place } from './benchmark.ts'
import { command, inTurns, timed } from './measure.ts'
import { runningServer } from './server.ts'

/** PostgreSQL refuses to be root, and initdb wants a user with a name. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** PostgreSQL alone: the binaries and the settings are those of the embedded database. */
class Bare {
  readonly #bin: string
  readonly #settings: string
  readonly dir: string
  #stop: () => Promise<void> = async () => undefined

  constructor(options: { bin: string; settings: string; dir: string }) {
    this.#bin = options.bin
    this.#settings = options.settings
    this.dir = options.dir
  }

  async init(): Promise<void> {
    const args = ['-D', this.dir, '-U', 'forge', '--encoding=UTF8', '--locale=C', '--locale-provider=builtin']
    await new Promise<void>((resolve, reject) => {
      const child = spawn(
        path.join(this.#bin, 'initdb'),
        [...args, '--builtin-locale=C.UTF-8', '--auth=peer', '--no-instructions'],
        { cwd: '/', env: {}, stdio: 'ignore', ...nobody },
      )
      child.on('error', reject)
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`initdb ended with ${code}`))))
    })
    await copyFile(this.#settings, path.join(this.dir, 'forge.conf'))
    await chmod(path.join(this.dir, 'forge.conf'), 0o644)
    await appendFile(path.join(this.dir, 'postgresql.conf'), "\ninclude 'forge.conf'\n")
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const child = spawn(
      path.join(this.#bin, 'postgres'),
      ['-D', this.dir, '-c', `unix_socket_directories=${this.dir}`],
      { cwd: '/', env: {}, stdio: 'ignore', ...nobody },
    )
    const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
    this.#stop = async () => {
      child.kill('SIGINT')
      await exited
    }
    const pidFile = path.join(this.dir, 'postmaster.pid')
    const isReady = async () =>
      (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[7]?.trim() === 'ready'
    while (!(await isReady())) {
      if (child.exitCode !== null) throw new Error('PostgreSQL did not start')
      await sleep(1)
    }
  }

  stop(): Promise<void> {
    return this.#stop()
  }
}

async function emptyDir(parent: string): Promise<string> {
  const dir = await mkdtemp(path.join(parent, 'pg-'))
  if (nobody.uid !== undefined) await chown(dir, nobody.uid, nobody.gid)
  return dir
}

/** The time to ready of a server on `home`, which is stopped again. */
async function serverReady(place: Place, home: string): Promise<number> {
  const server = await runningServer(place, home)
  await server.stop()
  return server.readyMs
}

/** A file system that has had nothing to write for a moment: what one turn leaves behind is not the next one's. */
async function settled(): Promise<void> {
  await command('sync', [])
}

export const benchmark: Benchmark = {
  name: 'server-start',
  about: 'the server ready, with its embedded database',
  async run(place) {
    const { scratch } = place
    const home = path.join(scratch, 'home')
    await serverReady(place, home)
    const settings = path.join(home, 'data/postgres/cluster/forge.conf')
    const others = nobody.uid !== undefined
    const runtime = path.join(scratch, 'runtime')
    await mkdir(runtime)
    const { dir } = await findBinaries({ others, copyTo: [runtime] })
    const bare = async () => new Bare({ bin: path.join(dir, 'bin'), settings, dir: await emptyDir(scratch) })
    const later = await bare()
    await later.init()
    let count = 0
    const first = await inTurns(
      {
        forge: async () => {
          const fresh = path.join(scratch, `first-${count++}`)
          await settled()
          const ms = await serverReady(place, fresh)
          await rm(fresh, { recursive: true, force: true })
          return ms
        },
        postgres: async () => {
          const fresh = await bare()
          await settled()
          const ms = await timed(async () => {
            await fresh.init()
            await fresh.start()
          })
          await fresh.stop()
          await rm(fresh.dir, { recursive: true, force: true })
          return ms
        },
      },
      { times: 7 },
    )
    const again = await inTurns(
      {
        forge: async () => {
          await settled()
          return serverReady(place, home)
        },
        postgres: async () => {
          await settled()
          const ms = await timed(() => later.start())
          await later.stop()
          return ms
        },
        node: () => timed(() => command(process.execPath, ['-e', '0'])),
      },
      { times: 15 },
    )
    return {
      comparisons: [
        {
          ours: 'first start, to the first answer',
          peer: 'initdb and start of PostgreSQL alone',
          unit: 'ms',
          oursSample: first.forge,
          peerSample: first.postgres,
        },
        {
          ours: 'a later start, to the first answer',
          peer: 'start of PostgreSQL alone',
          unit: 'ms',
          oursSample: again.forge,
          peerSample: again.postgres,
        },
      ],
      notes: [`node -e 0 takes ${again.node.median.toFixed(1)} ms of each start of the server`],
    }
  },
}
