import { posix } from 'node:path'

/** A path as the model gave it, absolute in the sandbox. */
export const absolute = (workdir: string, path: string): string => posix.resolve(workdir, path)

/** A path as people and the model read it: relative where it lies in the work tree. */
export function shown(workdir: string, path: string): string {
  const relative = posix.relative(workdir, absolute(workdir, path))
  if (relative === '') return '.'
  return relative === '..' || relative.startsWith('../') ? absolute(workdir, path) : relative
}
