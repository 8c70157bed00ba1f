import { readFile } from 'node:fs/promises'
import type Docker from 'dockerode'
import { ForgeError } from '#core/errors.ts'
import { findCaBundle } from '../../ca-bundle.ts'
import type { Created, CreateRequest } from '../../provider.ts'
import { containerOptions, type EngineFacts, enforcements } from './container.ts'
import { ask, askOr } from './engine.ts'
import { forgeDir, guestArchive, requiredPrograms } from './guest-files.ts'
import { ensureImage, type GuestImage } from './image.ts'
import type { Session } from './remains.ts'

/** Of `GET /info`; missing in the types of the client. */
interface EngineInfo {
  readonly OSType?: string
  readonly Architecture?: string
  readonly CgroupVersion?: string
  readonly MemoryLimit?: boolean
  readonly PidsLimit?: boolean
  readonly CpuCfsQuota?: boolean
  readonly CPUCfsQuota?: boolean
}

async function factsOf(docker: Docker): Promise<EngineFacts> {
  const info: EngineInfo = await ask(docker.info())
  if (info.OSType !== 'linux')
    throw new ForgeError(
      'provider_unavailable',
      `the Docker Engine runs ${info.OSType} containers, not Linux`,
    )
  return {
    machine: info.Architecture ?? 'unknown',
    cgroupVersion: info.CgroupVersion ?? '1',
    limitsMemory: info.MemoryLimit === true,
    limitsPids: info.PidsLimit === true,
    limitsCpus: info.CpuCfsQuota === true || info.CPUCfsQuota === true,
  }
}

/** Asks the engine for each program: an image without one could at best fail in words that nobody understands. */
async function assertPrograms(container: Docker.Container, image: string): Promise<void> {
  const missing: string[] = []
  for (const path of requiredPrograms)
    if ((await askOr(container.infoArchive({ path }), [404])) === null) missing.push(path)
  if (missing.length > 0)
    throw new ForgeError('invalid_input', `the image ${image} lacks ${missing.join(', ')}`, {
      hint: 'take an image that is made from the guest image, or install openssh-server, perl and bash in it',
    })
}

async function certificates(): Promise<string | null> {
  const file = await findCaBundle()
  return file === null ? null : readFile(file, 'utf8')
}

/** On failure or abort something may be left. */
export async function createSandbox(
  { docker, owner }: Session,
  { request, image }: { request: CreateRequest; image: GuestImage },
  signal: AbortSignal,
): Promise<Created> {
  const { id, limits } = request
  // No request is given up half-way: the engine would go on with it and leave what nobody waits for.
  signal.throwIfAborted()
  const [facts, imageId, archive] = await Promise.all([
    factsOf(docker),
    ensureImage(docker, image),
    certificates().then((found) => guestArchive({ ...request, certificates: found })),
  ])
  signal.throwIfAborted()
  const options = containerOptions({ id, owner, image: imageId, limits, facts })
  const container = await ask(docker.createContainer(options))
  signal.throwIfAborted()
  await assertPrograms(container, image.name)
  await ask(container.putArchive(archive, { path: forgeDir }))
  signal.throwIfAborted()
  await ask(container.start())
  signal.throwIfAborted()
  return { handle: { container: container.id }, enforcement: enforcements(limits, facts) }
}
