import { randomBytes } from 'node:crypto'
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'

/** A section or the whole of a file as JSON gives it. */
export type Tree = { [key: string]: unknown }

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const maxBytes = 1024 * 1024

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

function parseTree(text: string, file: string): Tree {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, which may be a secret.
    throw new ForgeError('config_invalid', `${file} is not valid JSON`, {
      hint: `check it with: node -e 'JSON.parse(require("fs").readFileSync(process.argv[1]))' ${file}`,
    })
  }
  if (!isTree(value)) throw new ForgeError('config_invalid', `${file} must hold one JSON object`)
  return value
}

/** An absent file is an empty tree. With `secret`, one that others may read throws. Throws `config_invalid`. */
export async function readTree(file: string, options: { secret: boolean }): Promise<Tree> {
  try {
    await using handle = await open(file, 'r')
    const stat = await handle.stat()
    if (!stat.isFile()) throw new ForgeError('config_invalid', `${file} is no regular file`)
    if (options.secret && (stat.mode & 0o077) !== 0)
      throw new ForgeError(
        'config_invalid',
        `${file} holds secrets and others may use it (mode ${(stat.mode & 0o777).toString(8).padStart(4, '0')})`,
        { hint: `chmod 600 ${file}` },
      )
    if (stat.size > maxBytes) throw new ForgeError('config_invalid', `${file} is larger than 1 MiB`)
    return parseTree(await handle.readFile('utf8'), file)
  } catch (error) {
    if (error instanceof ForgeError) throw error
    if (codeOf(error) === 'ENOENT') return {}
    throw new ForgeError('config_invalid', `${file} cannot be read: ${String(codeOf(error))}`, {
      cause: error,
    })
  }
}

/** Replaces the file as a whole, or not at all; a symlink stays one. Throws `disk_full`, `config_invalid`. */
export async function writeTree(file: string, tree: Tree, options: { secret: boolean }): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const target = await realpath(file).catch(() => file)
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`
  try {
    {
      await using handle = await open(temporary, 'wx', options.secret ? 0o600 : 0o644)
      await handle.writeFile(`${JSON.stringify(tree, null, 2)}\n`)
      await handle.sync()
    }
    await rename(temporary, target)
    await using directory = await open(path.dirname(target), 'r')
    await directory.sync()
  } catch (error) {
    await rm(temporary, { force: true })
    const full = codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT'
    throw new ForgeError(
      full ? 'disk_full' : 'config_invalid',
      `${file} cannot be written: ${String(codeOf(error))}`,
      { cause: error },
    )
  }
}
