import { lstatSync } from 'node:fs'
import path from 'node:path'
import { type Paths, pathsFrom, privateDirectoryProblem } from '#core/config/paths.ts'
import { ForgeError } from '#core/errors.ts'
import type { Host } from '../host.ts'

/**
 * Where this instance's files and socket are. Throws `denied` when the socket's directory is open to others, who
 * could have put a socket of their own there: the client sends model keys over it.
 */
export function placesOf(host: Pick<Host, 'env' | 'uid' | 'home' | 'cwd'>): Paths {
  const paths = pathsFrom(host)
  const folder = path.dirname(paths.socket)
  const stat = lstatSync(folder, { throwIfNoEntry: false })
  const problem = stat && privateDirectoryProblem(stat, host.uid)
  if (problem)
    throw new ForgeError(
      'denied',
      `the folder of the server's socket, ${folder}, cannot be trusted: ${problem}`,
      {
        hint: `remove it, or make it yours alone: chmod 700 ${folder}`,
      },
    )
  return paths
}
