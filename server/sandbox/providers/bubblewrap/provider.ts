import { open, readdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { SandboxId } from '#core/id.ts'
import type { Created, CreateRequest, Liveness, ProviderHandle, SandboxProvider } from '../../provider.ts'
import { DiskRefused, readStatus } from './boot.ts'
import { createSandbox } from './create.ts'
import { removeTree, waitForLoopRelease } from './disk.ts'
import { inDir } from './places.ts'
import { probe } from './probe.ts'
import { isAlive, killMarked, killUid } from './processes.ts'
import { type BubblewrapOptions, type Setup, setUp } from './setup.ts'

const Handle = z.object({
  pid: z.number().int().positive(),
  start: z.string(),
  uid: z.number().int().nullable(),
})

const present = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

/**
 * Connects to `control` in `dir` through a descriptor of the folder: the path of a unix socket may have at most
 * 107 bytes.
 */
async function connectControl(dir: string): Promise<Duplex> {
  const folder = await open(dir)
  try {
    const socket = connect(`/proc/self/fd/${folder.fd}/${inDir.control}`)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  } finally {
    await folder.close()
  }
}

class Bubblewrap implements SandboxProvider {
  readonly name = 'bubblewrap'
  readonly capabilities = { kernel: 'shared', outlivesServer: true, suspend: false, snapshot: false } as const
  readonly #options: BubblewrapOptions
  readonly #destroying = new Map<SandboxId, Promise<void>>()
  #setup: Promise<Setup> | null = null

  constructor(options: BubblewrapOptions) {
    this.#options = options
  }

  #ready(): Promise<Setup> {
    this.#setup ??= setUp(this.#options).catch((error: unknown) => {
      this.#setup = null
      throw error
    })
    return this.#setup
  }

  probe(signal: AbortSignal) {
    const root = this.#options.serverUid === 0
    const account = root ? 'each sandbox under a uid of its own' : 'sandboxes run under the uid of the server'
    return probe(this, `namespaces on the kernel of this host; ${account}`, signal)
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<Created> {
    const setup = await this.#ready()
    if (await this.#hasLeftovers(setup, request.id)) await this.destroy(request.id)
    try {
      return await createSandbox(setup, request, signal)
    } catch (error) {
      await this.destroy(request.id)
      if (!(error instanceof DiskRefused)) throw this.#explain(error, signal)
      return await this.#createWithoutImage({ ...setup, noImages: error.message }, request, signal)
    }
  }

  /** A container may have loop devices and still forbid to mount: then the disk is a plain folder, and says so. */
  async #createWithoutImage(setup: Setup, request: CreateRequest, signal: AbortSignal): Promise<Created> {
    try {
      return await createSandbox(setup, request, signal)
    } catch (error) {
      await this.destroy(request.id)
      throw this.#explain(error, signal)
    }
  }

  /** The folder is the first that create makes, and the uid's claim the last that destroy removes. */
  async #hasLeftovers({ common, uids }: Setup, id: SandboxId): Promise<boolean> {
    return (await present(common.places.dir(id))) || ((await uids?.of(id)) ?? []).length > 0
  }

  #explain(error: unknown, signal: AbortSignal): unknown {
    if (error instanceof ForgeError) return error
    if (signal.aborted) return new ForgeError('interrupted', 'starting the sandbox was stopped')
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return new ForgeError('disk_full', `no space for a sandbox in ${this.#options.stateDir}`, {
        cause: error,
      })
    return error
  }

  async open(id: SandboxId, handle: ProviderHandle): Promise<Duplex> {
    const liveness = await this.inspect(id, handle)
    if (liveness.state === 'gone')
      throw new ForgeError('sandbox_lost', `the sandbox is gone: ${liveness.reason}`)
    const { common } = await this.#ready()
    return connectControl(common.places.dir(id)).catch((error: unknown) => {
      throw new ForgeError('sandbox_lost', 'the sandbox does not take a connection', { cause: error })
    })
  }

  async inspect(id: SandboxId, handle: ProviderHandle): Promise<Liveness> {
    const mark = Handle.safeParse(handle)
    if (!mark.success) return { state: 'gone', reason: 'its handle is not one of this provider' }
    const { common, cgroups } = await this.#ready()
    const dir = common.places.dir(id)
    if (!(await present(dir))) return { state: 'gone', reason: 'destroyed' }
    if (await isAlive(mark.data)) return { state: 'running' }
    const { exitCode } = await readStatus(dir)
    if (exitCode !== null && exitCode !== 137)
      return { state: 'gone', reason: `exited with code ${exitCode}` }
    const outOfMemory = (await cgroups.oomKills(id)) > 0
    return { state: 'gone', reason: outOfMemory ? 'killed: out of memory' : 'killed' }
  }

  /** One at a time for each id: a second would kill by a uid that the first may have given back meanwhile. */
  destroy(id: SandboxId): Promise<void> {
    const running = this.#destroying.get(id)
    if (running !== undefined) return running
    const ending = this.#end(id).finally(() => this.#destroying.delete(id))
    this.#destroying.set(id, ending)
    return ending
  }

  async #end(id: SandboxId): Promise<void> {
    const { common, cgroups, uids } = await this.#ready()
    const dir = common.places.dir(id)
    // Process 1 takes all others with it; a launch script that has not yet dropped to the sandbox's uid has the mark too.
    await killMarked(common.places.mark(id))
    for (const uid of (await uids?.of(id)) ?? []) await killUid(common.tools.perl, uid)
    if (common.root) await waitForLoopRelease(dir)
    await cgroups.remove(id)
    await removeTree(dir, common.root)
    await uids?.release(id)
  }

  async list(): Promise<SandboxId[]> {
    const { common, cgroups, uids } = await this.#ready()
    const names = [
      ...(await readdir(common.places.sandboxes).catch(() => [])),
      ...(await cgroups.list()),
      ...((await uids?.list()) ?? []),
    ]
    return [...new Set(names)].flatMap((name) => {
      const id = SandboxId.safeParse(name)
      return id.success ? [id.data] : []
    })
  }
}

/** Sandboxes of namespaces on the host's kernel. Touches nothing before its first method is called. */
export const bubblewrapProvider = (options: BubblewrapOptions): SandboxProvider => new Bubblewrap(options)
