import type { Host } from '../../host.ts'
import type { GitUser } from '../../workspace/settings.ts'

/** The user's side of git. */
export const gitUserOf = ({ env, home }: Host): GitUser => ({
  path: env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
  home,
  configHome: env.XDG_CONFIG_HOME || undefined,
})
