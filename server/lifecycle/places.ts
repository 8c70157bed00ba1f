import path from 'node:path'

/**
 * Where host programs are kept that the system does not have. It holds nothing private and is shared by every
 * FORGE_HOME; for root it is outside the home directory, which the sandboxes' users could not enter.
 */
export function toolsDir(
  env: Readonly<Record<string, string | undefined>>,
  who: { uid: number; home: string },
): string {
  if (who.uid === 0) return '/var/cache/forge/tools'
  const cache = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : path.join(who.home, '.cache')
  return path.join(cache, 'forge', 'tools')
}
