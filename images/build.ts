import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import type { RunCommand } from '#server/sandbox/host-tools/run.ts'
import {
  type Bootstrap,
  bootstrapRoot,
  installCommand,
  overlayName,
  packagesName,
  resolvePackages,
  whyNoBuild,
} from './debian.ts'
import { type HostFile, overlayArchive } from './overlay.ts'
import type { ImageRecipe } from './recipe.ts'
import { type BuiltImage, findImage, manifestName, rootfsName } from './store.ts'

export interface BuildOptions {
  readonly recipe: ImageRecipe
  readonly hostFiles: readonly HostFile[]
  /** Where images are kept, ours alone. */
  readonly dir: string
  readonly uid: number
  readonly run: RunCommand
  /** For apt: `http_proxy` and `https_proxy`. */
  readonly env?: Record<string, string>
  readonly onProgress?: (line: string) => void
  /** Builds although an image from the same inputs is there. */
  readonly again?: boolean
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

/** Names what the host decides: the recipe, and the content of what comes from this host. */
export async function recipeDigest(recipe: ImageRecipe, hostFiles: readonly HostFile[]): Promise<string> {
  const overlay = sha256(await overlayArchive(recipe, hostFiles))
  return sha256(JSON.stringify([recipe, overlay, process.arch]))
}

/** Moves it to its place in one step. One that is already there is the same, and may be in use: it stays if it is whole. */
async function keep(work: string, dir: string, key: string): Promise<void> {
  const place = path.join(dir, key)
  const moved = () =>
    rename(work, place).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false
        throw error
      },
    )
  if ((await moved()) || (await findImage(dir, key)) !== null) return
  await rm(place, { recursive: true, force: true })
  await moved()
}

interface Inputs {
  readonly bootstrap: Bootstrap
  /** Digest of the recipe, and the name of the image. */
  readonly recipe: string
  readonly key: string
}

async function make(options: BuildOptions, { bootstrap, recipe, key }: Inputs): Promise<BuiltImage> {
  const work = await mkdtemp(path.join(options.dir, 'building-'))
  try {
    await writeFile(path.join(work, overlayName), await overlayArchive(options.recipe, options.hostFiles))
    const rootfs = path.join(work, rootfsName)
    await bootstrapRoot(bootstrap, work, rootfs)
    const packages = (await readFile(path.join(work, packagesName), 'utf8')).trim().split('\n').sort()
    const manifest = {
      key,
      recipe,
      digest: await digestOf(rootfs),
      bytes: (await stat(rootfs)).size,
      packages,
    }
    await writeFile(path.join(work, manifestName), JSON.stringify(manifest))
    for (const name of [overlayName, packagesName]) await rm(path.join(work, name))
    await keep(work, options.dir, key)
    return { ...manifest, rootfs: path.join(options.dir, key, rootfsName) }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * The image of the recipe with the packages that the Debian archive has today: the one that is there, or a new
 * one, in about a minute. Throws `provider_unavailable` with the command that mends it, `disk_full`.
 */
export async function buildImage(options: BuildOptions): Promise<BuiltImage> {
  const { recipe, hostFiles, dir, uid, run, env } = options
  const why = await whyNoBuild(run, uid)
  if (why !== null)
    throw new ForgeError('provider_unavailable', why, {
      hint: `run: ${installCommand}`,
      data: { fix: [installCommand] },
    })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const bootstrap = { recipe, run, ...(env === undefined ? {} : { env }) }
  const digest = await recipeDigest(recipe, hostFiles)
  const key = sha256(JSON.stringify([digest, await resolvePackages(bootstrap)])).slice(0, 16)
  const present = options.again === true ? null : await findImage(dir, key)
  if (present !== null) return present
  options.onProgress?.(`building the guest image of ${recipe.packages.length} packages and what they need`)
  return make(options, { bootstrap, recipe: digest, key })
}
