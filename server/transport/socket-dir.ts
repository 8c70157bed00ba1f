import { lstat, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { privateDirectoryProblem } from '#core/config/paths.ts'
import { ForgeError } from '#core/errors.ts'

/**
 * Makes the socket's directory, or checks the one that is there: in a place like /tmp somebody else may have
 * been first, and would then own the way in. Throws `denied`.
 */
export async function privateSocketDir(socketPath: string, uid: number): Promise<void> {
  const dir = path.dirname(socketPath)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const problem = privateDirectoryProblem(await lstat(dir), uid)
  if (problem)
    throw new ForgeError('denied', `${dir} cannot hold the server's socket: ${problem}`, {
      hint: `run: chmod 700 ${dir}, or remove it, or set FORGE_HOME to a directory of your own`,
    })
}
