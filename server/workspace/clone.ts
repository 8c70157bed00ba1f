import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { shallowPrefix, startRef } from '#core/workspace/bundle.ts'
import { type GitOptions, gitText, neutralGit } from './git.ts'
import { makeRepository, type Repository } from './repository.ts'

/** What a server may fetch with; never `file`, `ext` or a path on its own disk. */
const cloneProtocols = ['https', 'http', 'ssh', 'git']

const depth = 50

interface CloneOptions {
  /** A folder for the clone. */
  readonly dir: string
  readonly maxBytes: number
  /** Milliseconds. */
  readonly timeout: number
  readonly signal: AbortSignal
  /** How the server itself reaches the network: proxy variables, SSH_AUTH_SOCK, HOME for its SSH keys. */
  readonly network: Record<string, string>
}

interface Cloned {
  readonly repository: Repository
  readonly start: string
}

/** Over HTTP a token often stands as the user name; over SSH the user name is no secret and needed. */
export const withoutSecrets = (text: string): string =>
  text.replace(/(https?:\/\/)[^/\s]*@/gi, '$1').replace(/(\w+:\/\/[^/:@\s]*):[^/\s]*@/g, '$1@')

/** Throws `invalid_input` for anything but a URL of an allowed protocol, or `user@host:path`. */
export function assertCloneUrl(url: string): void {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/./i.exec(url)?.[1]?.toLowerCase()
  const scp = /^(?:[A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][\w.-]*:(?![:/]{2})[^-]/.test(url)
  const allowed = scheme === undefined ? scp && !url.includes('::') : cloneProtocols.includes(scheme)
  const control = [...url].some((character) => character <= ' ' || character === '\u007f')
  if (allowed && !control) return
  throw new ForgeError(
    'invalid_input',
    `${JSON.stringify(withoutSecrets(url))} is no URL that a repository can be cloned from`,
    {
      hint: 'https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or git://HOST/PATH; for a folder use --repo PATH',
    },
  )
}

function assertRef(ref: string): void {
  const printable = [...ref].every((character) => character > ' ' && character !== '\u007f')
  if (printable && !/^[-+]|[:^~?*[\\]|\.\.|@\{/.test(ref)) return
  throw new ForgeError('invalid_input', `${JSON.stringify(ref)} is no name of a branch, tag or commit`)
}

async function packBytes(gitDir: string): Promise<number> {
  const dir = path.join(gitDir, 'objects/pack')
  const names = await readdir(dir).catch(() => [])
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(path.join(dir, name)).catch(() => null))?.size ?? 0),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Ends `run` when the repository on disk grows beyond `maxBytes`. */
async function whileSmall(
  gitDir: string,
  options: CloneOptions,
  run: (signal: AbortSignal) => Promise<unknown>,
) {
  const controller = new AbortController()
  const watch = setInterval(async () => {
    if ((await packBytes(gitDir)) > options.maxBytes) controller.abort()
  }, 250)
  try {
    await run(AbortSignal.any([options.signal, controller.signal]))
  } catch (error) {
    if (!controller.signal.aborted) throw error
    throw new ForgeError('too_large', `the repository is larger than ${options.maxBytes} bytes`)
  } finally {
    clearInterval(watch)
  }
}

function explain(error: unknown, url: string): ForgeError {
  const known = ForgeError.from(error)
  if (known.code !== 'repository_invalid') return known
  const said = withoutSecrets(String(known.data?.stderr ?? known.message))
    .trim()
    .split('\n')
  const last = said.filter((line) => /^(fatal|error|remote):/.test(line)).at(-1) ?? said.at(-1) ?? ''
  return new ForgeError(
    'repository_invalid',
    `${withoutSecrets(url)} cannot be cloned: ${last.slice(0, 300)}`,
    {
      hint: 'the server clones it without asking for a password: check the URL and what the server may reach',
    },
  )
}

/** Fetches one branch, tag or commit (default: the remote's HEAD) into a bare repository of its own. */
export async function cloneRepository(
  source: { url: string; ref?: string | undefined },
  options: CloneOptions,
): Promise<Cloned> {
  assertCloneUrl(source.url)
  if (source.ref !== undefined) assertRef(source.ref)
  const repository = await makeRepository(options.dir, 'sha1')
  try {
    const git: GitOptions = {
      gitDir: repository.gitDir,
      protocols: cloneProtocols,
      timeout: options.timeout,
      env: {
        ...options.network,
        GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oClearAllForwardings=yes -oPermitLocalCommand=no',
        GIT_SSH_VARIANT: 'ssh',
      },
    }
    const fetch = (deepen: string[]) =>
      whileSmall(repository.gitDir, options, (signal) =>
        neutralGit(
          [
            '-c',
            'fetch.fsckObjects=true',
            '-c',
            'fetch.unpackLimit=1',
            'fetch',
            '-q',
            '--no-tags',
            '--no-recurse-submodules',
            '--no-write-fetch-head',
            ...deepen,
            '--',
            source.url,
            `+${source.ref ?? 'HEAD'}:refs/forge/fetched`,
          ],
          { ...git, signal },
        ),
      )
    await fetch([`--depth=${depth}`]).catch(async (error: unknown) => {
      // A web server that only hands out files can give the whole history or nothing.
      if (!/dumb http transport/.test(String(ForgeError.from(error).data?.stderr))) throw error
      await fetch([])
    })
    const local: GitOptions = { gitDir: repository.gitDir, signal: options.signal }
    const start = await gitText(['rev-parse', '--verify', 'refs/forge/fetched^{commit}'], local)
    await neutralGit(['update-ref', startRef, start], local)
    const shallow = await readFile(path.join(repository.gitDir, 'shallow'), 'utf8').catch(() => '')
    for (const commit of shallow.split('\n').filter((line) => line !== ''))
      await neutralGit(['update-ref', shallowPrefix + commit, commit], local)
    await neutralGit(['update-ref', '-d', 'refs/forge/fetched'], local)
    return { repository, start }
  } catch (error) {
    await repository[Symbol.asyncDispose]()
    throw explain(error, source.url)
  }
}
