import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'

export const rootfsName = 'rootfs.tar'
export const manifestName = 'manifest.json'

const Manifest = z.object({
  /** Of the recipe and the packages that the archive had for it: the same key, the same inputs. */
  key: z.string().regex(/^[0-9a-f]{16}$/),
  recipe: z.string(),
  /** SHA-256 of the root file system. */
  digest: z.string(),
  bytes: z.number().int(),
  /** Each as `NAME=VERSION`, sorted. */
  packages: z.array(z.string()),
})

export interface BuiltImage extends z.infer<typeof Manifest> {
  /** The root file system, a tar archive. */
  readonly rootfs: string
}

/** Null when it is not there, or not whole. */
export async function findImage(dir: string, key: string): Promise<BuiltImage | null> {
  const text = await readFile(path.join(dir, key, manifestName), 'utf8').catch(() => null)
  if (text === null) return null
  const manifest = Manifest.parse(JSON.parse(text))
  const rootfs = path.join(dir, key, rootfsName)
  const found = await stat(rootfs).catch(() => null)
  return found?.size === manifest.bytes ? { ...manifest, rootfs } : null
}

/** The newest first. */
export async function listImages(dir: string): Promise<BuiltImage[]> {
  const names = (await readdir(dir).catch(() => [])).filter((name) => /^[0-9a-f]{16}$/.test(name))
  const made = await Promise.all(
    names.map(async (name) => ({
      image: await findImage(dir, name),
      at: (await stat(path.join(dir, name)).catch(() => null))?.mtimeMs ?? 0,
    })),
  )
  return made
    .toSorted((one, other) => other.at - one.at)
    .flatMap(({ image }) => (image === null ? [] : [image]))
}
