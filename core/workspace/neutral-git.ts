import { ForgeError } from '../errors.ts'

/** One `-c KEY=VALUE` setting. */
export type GitSetting = readonly [key: string, value: string]

/**
 * Settings that keep git from running anything that a repository's own configuration names, and from
 * accepting paths that another file system would read as `.git`. What a configuration can only say by a
 * name of its own choice (`filter.NAME.clean`, `diff.NAME.command`, `merge.NAME.driver`) cannot be turned
 * off here: commands that look at file contents must run with a GIT_DIR of our own.
 */
const neutralSettings: readonly GitSetting[] = [
  ['core.fsmonitor', 'false'],
  ['core.hooksPath', '/dev/null'],
  ['core.untrackedCache', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.editor', 'false'],
  ['core.pager', 'cat'],
  ['core.askPass', ''],
  ['core.sshCommand', 'false'],
  // An empty value would still be run by the shell.
  ['core.alternateRefsCommand', 'true'],
  ['core.protectHFS', 'true'],
  ['core.protectNTFS', 'true'],
  // Larger ones are streamed instead of held in memory.
  ['core.bigFileThreshold', '32m'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['gpg.program', 'false'],
  ['commit.gpgSign', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['protocol.allow', 'never'],
  ['advice.detachedHead', 'false'],
]

/** What the two environments of a neutral git differ in. */
interface NeutralEnvironment {
  /** Absolute folders, separated by colons. */
  readonly path: string
  /** The protocols that it may fetch with; absent: none, local paths included. */
  readonly protocols?: readonly string[]
}

/**
 * The whole environment of a neutral git. Settings are not in it: see `neutralArgs`. A `GIT_DIR` that is
 * named by the caller also keeps git from refusing a repository that another user owns.
 */
export function neutralEnv({ path, protocols = [] }: NeutralEnvironment): Record<string, string> {
  return {
    PATH: path,
    LC_ALL: 'C',
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'false',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_PAGER: 'cat',
    // Set but without a name in it, it allows no protocol: a partial clone fetches nothing behind our back.
    GIT_ALLOW_PROTOCOL: protocols.join(':'),
    GIT_PROTOCOL_FROM_USER: '0',
  }
}

export const settingArgs = (settings: readonly GitSetting[]): string[] =>
  settings.flatMap(([key, value]) => ['-c', `${key}=${value}`])

/** Arguments before the git command. */
export const neutralArgs: readonly string[] = ['--no-pager', ...settingArgs(neutralSettings)]

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 500) ?? ''

/** What a git says that failed, or that a signal ended (`exitCode` null); both are in the error's `data`. */
export function gitFailure(args: readonly string[], exitCode: number | null, stderr: string): ForgeError {
  const said = lastLine(stderr)
  const end = exitCode === null ? 'was killed' : `failed with exit code ${exitCode}`
  return new ForgeError('repository_invalid', `git ${args[0]} ${end}${said === '' ? '' : `: ${said}`}`, {
    data: { exitCode, stderr },
  })
}
