import path from 'node:path'
import type { Logger } from 'pino'
import { ForgeError } from '#core/errors.ts'
import { buildImage, recipeDigest } from '#images/build.ts'
import { installCommand, whyNoBuild } from '#images/debian.ts'
import { guestRecipe } from '#images/recipe.ts'
import { type BuiltImage, listImages } from '#images/store.ts'
import { runCommand } from '../sandbox/host-tools/run.ts'

interface GuestImagesOptions {
  /** Where images are kept. */
  readonly dir: string
  /** The Node that goes into the image. */
  readonly node: string
  readonly uid: number
  /** Of it only the proxy variables are used. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
}

export interface GuestImages {
  /** The image of this version of Forge, from before. */
  find(): Promise<BuiltImage | null>
  /** The same, or a new one in a minute or two. Throws `provider_unavailable` with what mends it, `disk_full`. */
  make(): Promise<BuiltImage>
  /** Commands by which a person has one. */
  fix(): Promise<string[]>
}

const proxyVariables = ['http_proxy', 'https_proxy', 'no_proxy']

/** apt reads these in lower case. */
const proxies = (env: GuestImagesOptions['env']): Record<string, string> =>
  Object.fromEntries(
    proxyVariables.flatMap((name) => {
      const value = env[name] ?? env[name.toUpperCase()]
      return value === undefined ? [] : [[name, value]]
    }),
  )

export function guestImages({ dir, node, uid, env, log }: GuestImagesOptions): GuestImages {
  const hostFiles = [{ path: '/usr/local/bin/node', source: node }]
  let digest: Promise<string> | null = null
  let making: Promise<BuiltImage> | null = null
  const find = async () => {
    const present = await listImages(dir)
    if (present.length === 0) return null
    digest ??= recipeDigest(guestRecipe, hostFiles)
    const wanted = await digest
    return present.find((image) => image.recipe === wanted) ?? null
  }
  const build = () =>
    buildImage({
      recipe: guestRecipe,
      hostFiles,
      dir,
      uid,
      run: runCommand,
      env: proxies(env),
      onProgress: (line) => log.info(line),
    })
  return {
    find,
    async make() {
      const present = await find()
      if (present !== null) return present
      making ??= build().finally(() => {
        making = null
      })
      return making
    },
    async fix() {
      const why = await whyNoBuild(runCommand, uid)
      const build = 'forge sandbox create --provider docker'
      return why === null ? [build] : [installCommand, build]
    },
  }
}

interface EngineImageRequest {
  readonly images: GuestImages
  /** An image of the user's own, which the engine must have. */
  readonly own: string | undefined
  /** Whether one may be built. */
  readonly make: boolean
}

/** What a container engine starts sandboxes from. Throws `provider_unavailable` where there is none. */
export async function engineImage({ images, own, make }: EngineImageRequest) {
  if (own !== undefined) return { name: own, archive: null, fix: [`docker pull ${own}`] }
  const image = make ? await images.make() : await images.find()
  if (image !== null) return { name: `forge/guest:${image.key}`, archive: image.rootfs, fix: [] }
  const fix = await images.fix()
  throw new ForgeError('provider_unavailable', 'the guest image has not been built yet', {
    hint: `run: ${fix.join(' ; ')}`,
    data: { fix },
  })
}

export const imagesDir = (data: string): string => path.join(data, 'images')
