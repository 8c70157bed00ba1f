import type { Duplex } from 'node:stream'
import type Docker from 'dockerode'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { SandboxId } from '#core/id.ts'
import { guestAccount } from '../../guest-env.ts'
import type { Created, CreateRequest, Liveness, ProviderHandle, SandboxProvider } from '../../provider.ts'
import { label } from './container.ts'
import { createSandbox } from './create.ts'
import { demultiplexed } from './demultiplex.ts'
import type { Endpoint } from './endpoint.ts'
import { ask, askOr, connectEngine } from './engine.ts'
import { sshdCommand } from './guest-files.ts'
import type { GuestImage } from './image.ts'
import { knownOwner, ownerOf } from './owner.ts'
import { probe } from './probe.ts'
import { idsOf, removeAll, type Session } from './remains.ts'

export interface DockerOptions {
  /** Absolute, on a disk, and this server's alone. */
  readonly stateDir: string
  /** Asked once. Throws `config_invalid`. */
  readonly endpoint: () => Endpoint
  /**
   * Asked for each sandbox, since an image may come while the server runs. Where there is none, `make` says
   * whether one may be built, which takes minutes.
   */
  readonly image: (make: boolean) => Promise<GuestImage>
}

const Handle = z.object({ container: z.string().regex(/^[0-9a-f]{64}$/) })

/** How the engine tells its containers' ends. */
function goneBecause(state: { OOMKilled: boolean; ExitCode: number; Status: string }): string {
  if (state.Status === 'created') return 'it was never started'
  if (state.OOMKilled) return 'killed: out of memory'
  return state.ExitCode === 137 ? 'killed' : `exited with code ${state.ExitCode}`
}

class DockerProvider implements SandboxProvider {
  readonly name = 'docker'
  readonly capabilities = { kernel: 'shared', outlivesServer: true, suspend: false, snapshot: false } as const
  readonly #options: DockerOptions
  readonly #destroying = new Map<SandboxId, Promise<void>>()
  #session: Promise<Session> | null = null

  constructor(options: DockerOptions) {
    this.#options = options
  }

  #ready(): Promise<Session> {
    this.#session ??= this.#start().catch((error: unknown) => {
      this.#session = null
      throw error
    })
    return this.#session
  }

  async #start(): Promise<Session> {
    const { stateDir, endpoint } = this.#options
    const docker = await connectEngine(endpoint())
    // First: where there is no engine, nothing is written either.
    await ask(docker.ping())
    return { owner: await ownerOf(stateDir), docker }
  }

  probe(signal: AbortSignal) {
    return probe(
      { provider: this, create: (request, within) => this.#create(request, within, false) },
      signal,
    )
  }

  create(request: CreateRequest, signal: AbortSignal): Promise<Created> {
    return this.#create(request, signal, true)
  }

  async #create(request: CreateRequest, signal: AbortSignal, make: boolean): Promise<Created> {
    const session = await this.#ready()
    if ((await idsOf(session)).has(request.id)) await this.destroy(request.id)
    try {
      return await createSandbox(session, { request, image: await this.#options.image(make) }, signal)
    } catch (error) {
      await this.destroy(request.id)
      if (signal.aborted && !(error instanceof ForgeError))
        throw new ForgeError('interrupted', 'starting the sandbox was stopped', { cause: error })
      throw error
    }
  }

  async #container(handle: ProviderHandle): Promise<Docker.Container | null> {
    const mark = Handle.safeParse(handle)
    if (!mark.success) return null
    const { docker } = await this.#ready()
    return docker.getContainer(mark.data.container)
  }

  async open(id: SandboxId, handle: ProviderHandle): Promise<Duplex> {
    const container = await this.#container(handle)
    if (container === null) throw new ForgeError('sandbox_lost', 'its handle is not one of this provider')
    const exec = await askOr(
      container.exec({
        Cmd: [...sshdCommand],
        User: `${guestAccount.uid}:${guestAccount.gid}`,
        WorkingDir: '/',
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: false,
        Tty: false,
      }),
      [404, 409],
    )
    const connection =
      exec === null ? null : await askOr(exec.start({ hijack: true, stdin: true, Tty: false }), [404, 409])
    if (connection !== null) return demultiplexed(connection)
    const liveness = await this.inspect(id, handle)
    const why = liveness.state === 'gone' ? liveness.reason : liveness.state
    throw new ForgeError('sandbox_lost', `the sandbox does not take a connection: ${why}`)
  }

  async inspect(id: SandboxId, handle: ProviderHandle): Promise<Liveness> {
    const container = await this.#container(handle)
    if (container === null) return { state: 'gone', reason: 'its handle is not one of this provider' }
    const found = await askOr(container.inspect(), [404])
    if (found === null || found.Config.Labels[label.sandbox] !== id)
      return { state: 'gone', reason: 'removed' }
    if (found.State.Paused) return { state: 'suspended' }
    return found.State.Running ? { state: 'running' } : { state: 'gone', reason: goneBecause(found.State) }
  }

  /** One at a time for each id: the engine refuses to remove what is being removed. */
  destroy(id: SandboxId): Promise<void> {
    const running = this.#destroying.get(id)
    if (running !== undefined) return running
    const ending = this.#ready()
      .then((session) => removeAll(session, id))
      .finally(() => this.#destroying.delete(id))
    this.#destroying.set(id, ending)
    return ending
  }

  /** A server that has never used an engine needs none to know that it has nothing there. */
  async list(): Promise<SandboxId[]> {
    if ((await knownOwner(this.#options.stateDir)) === null) return []
    const session = await this.#ready()
    return [...(await idsOf(session))].flatMap((name) => {
      const id = SandboxId.safeParse(name)
      return id.success ? [id.data] : []
    })
  }
}

/** Sandboxes that are containers of a Docker Engine. Touches nothing before its first method is called. */
export const dockerProvider = (options: DockerOptions): SandboxProvider => new DockerProvider(options)
