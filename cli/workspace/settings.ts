import path from 'node:path'
import type { GitSetting } from '#core/workspace/neutral-git.ts'
import { type GitPlace, git, gitText } from './git.ts'
import type { Repository } from './locate.ts'

/** The user's side of git: where programs and their own settings are. */
export interface GitUser {
  readonly path: string
  readonly home: string
  /** XDG_CONFIG_HOME where it is set. */
  readonly configHome?: string | undefined
}

/** What we take from a repository's configuration. All else of it is ignored. */
interface RepositorySettings {
  readonly objectFormat: 'sha1' | 'sha256'
  /** How file contents and modes of the work tree are to be read. */
  readonly reading: readonly GitSetting[]
  /** Without credentials. */
  readonly origin: string | undefined
}

const readingKeys: { readonly [key: string]: readonly string[] } = {
  'core.autocrlf': ['true', 'false', 'input'],
  'core.eol': ['lf', 'crlf', 'native'],
  'core.filemode': ['true', 'false'],
  'core.symlinks': ['true', 'false'],
}

/** An SSH address as git writes it, `user@host:path`, holds no secret. */
function withoutCredentials(url: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return /^[^\s/]+:[^\s]+$/.test(url) ? url : undefined
  if (!URL.canParse(url)) return undefined
  const parsed = new URL(url)
  parsed.password = ''
  if (parsed.protocol !== 'ssh:') parsed.username = ''
  parsed.search = ''
  parsed.hash = ''
  return parsed.href
}

const parseConfig = (listed: Buffer): Map<string, string> =>
  new Map(
    listed
      .toString('utf8')
      .split('\0')
      .filter((entry) => entry !== '')
      .map((entry) => {
        const at = entry.indexOf('\n')
        return at < 0 ? [entry, 'true'] : [entry.slice(0, at), entry.slice(at + 1)]
      }),
  )

/** Reads the one file, without what it includes. Throws `repository_invalid`. */
export async function repositorySettings(repository: Repository, user: GitUser): Promise<RepositorySettings> {
  const file = path.join(repository.commonDir, 'config')
  const listed = await git({ path: user.path }, ['config', '--file', file, '--no-includes', '-z', '--list'])
  const config = parseConfig(listed)
  const origin = config.get('remote.origin.url')
  return {
    objectFormat: config.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
    reading: Object.entries(readingKeys).flatMap(([key, values]) => {
      const value = config.get(key)?.toLowerCase()
      return value !== undefined && values.includes(value) ? [[key, value] as const] : []
    }),
    origin: origin === undefined ? undefined : withoutCredentials(origin),
  }
}

/** The user's own settings for reading files: what they ignore everywhere, and line endings. */
export async function userSettings(user: GitUser): Promise<GitSetting[]> {
  const place: GitPlace = {
    path: user.path,
    env: { HOME: user.home, XDG_CONFIG_HOME: user.configHome, GIT_CONFIG_GLOBAL: undefined },
  }
  const get = (args: string[]) =>
    gitText(place, ['config', '--global', '--includes', ...args]).catch(() => '')
  const [excludes, autocrlf] = await Promise.all([
    get(['--type=path', '--get', 'core.excludesFile']),
    get(['--get', 'core.autocrlf']),
  ])
  const standard = path.join(user.configHome ?? path.join(user.home, '.config'), 'git', 'ignore')
  return [
    ['core.excludesFile', excludes === '' ? standard : excludes],
    ...(readingKeys['core.autocrlf']?.includes(autocrlf) ? [['core.autocrlf', autocrlf] as const] : []),
  ]
}
