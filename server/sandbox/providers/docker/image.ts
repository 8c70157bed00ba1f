import type Docker from 'dockerode'
import { ForgeError } from '#core/errors.ts'
import { ask, askOr } from './engine.ts'

/** The image that sandboxes start from. */
export interface GuestImage {
  /** As the engine knows it. */
  readonly name: string
  /** Its root file system as a tar archive, for an engine that lacks it; null when there is none to give. */
  readonly archive: string | null
  /** Commands that bring it when it is in neither place. */
  readonly fix: readonly string[]
}

/** Milliseconds: some hundred megabytes over what may be a network. */
const importLimit = 600_000

/** Repository and tag; a port of a registry has a slash behind it. */
function splitName(name: string): { repo: string; tag: string } {
  const colon = name.lastIndexOf(':')
  if (colon < 0 || name.includes('/', colon)) return { repo: name, tag: 'latest' }
  return { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
}

/** Gives the image's id on the engine, which imports the archive when it lacks it. Throws `provider_unavailable`. */
export async function ensureImage(docker: Docker, image: GuestImage): Promise<string> {
  const find = () => askOr(docker.getImage(image.name).inspect(), [404])
  const present = await find()
  if (present !== null) return present.Id
  if (image.archive === null)
    throw new ForgeError('provider_unavailable', `the Docker Engine has no image ${image.name}`, {
      ...(image.fix.length === 0 ? {} : { hint: `run: ${image.fix.join(' ; ')}` }),
      data: { fix: [...image.fix] },
    })
  const answer = await ask(docker.importImage(image.archive, splitName(image.name)), importLimit)
  // The engine answers before it has read the archive, and tells its failures in the stream.
  await ask(
    new Promise((resolve, reject) =>
      docker.modem.followProgress(answer, (error) => (error ? reject(error) : resolve(null))),
    ),
    importLimit,
  )
  const imported = await find()
  if (imported === null)
    throw new ForgeError('provider_unavailable', `the Docker Engine did not take the image ${image.name}`)
  return imported.Id
}
