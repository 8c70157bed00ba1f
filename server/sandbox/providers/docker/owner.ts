import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'

const form = /^[0-9a-f]{16}$/

const ownerFile = (stateDir: string): string => path.join(stateDir, 'owner')

/** Null when this server has never made anything on an engine. */
export async function knownOwner(stateDir: string): Promise<string | null> {
  const file = ownerFile(stateDir)
  const owner = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (owner === null || form.test(owner)) return owner
  throw new ForgeError('config_invalid', `${file} does not hold the name that this server gave itself`, {
    hint: `look for containers labelled dev.forge.owner, then remove ${file}`,
  })
}

/**
 * The name by which this server marks what is its own on an engine, drawn once and kept in `stateDir`. A path
 * would not do: servers of several hosts may use one engine.
 */
export async function ownerOf(stateDir: string): Promise<string> {
  const known = await knownOwner(stateDir)
  if (known !== null) return known
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const fresh = path.join(stateDir, `owner.${randomBytes(4).toString('hex')}`)
  await writeFile(fresh, randomBytes(8).toString('hex'), { mode: 0o600, flush: true })
  try {
    // Whole or not at all, and the first wins.
    await link(fresh, ownerFile(stateDir))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(fresh, { force: true })
  }
  return ownerOf(stateDir)
}
