import { ForgeError } from '../errors.ts'

export interface Paths {
  /** `config.json` and `secrets.json`. */
  readonly config: string
  /** The database, blobs and sandboxes. */
  readonly data: string
  /** Logs. */
  readonly state: string
  /** What lives as long as the server: lock files, sockets. Owned by the user, mode 0700. */
  readonly runtime: string
  /** The server's unix socket. Its directory is private too, and may not be `runtime`: see `pathsFrom`. */
  readonly socket: string
}

interface PathsInput {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
  /** The user's home directory, absolute. */
  readonly home: string
  /** For a relative FORGE_HOME. */
  readonly cwd: string
}

/** `sun_path` holds 108 bytes on Linux, of which the last is the terminating zero. */
const maxSocketBytes = 107

const encoder = new TextEncoder()

/** Joins and resolves `.` and `..` by text. */
function join(...parts: string[]): string {
  const out: string[] = []
  for (const part of parts.join('/').split('/')) {
    if (part === '..') out.pop()
    else if (part !== '' && part !== '.') out.push(part)
  }
  return `/${out.join('/')}`
}

/** FNV-1a, 64 bit: tells directories apart, protects nothing. */
function fingerprint(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of encoder.encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash.toString(16).padStart(16, '0')
}

/** The XDG specification ignores relative values. */
const absolute = (value: string | undefined): string | undefined =>
  value?.startsWith('/') ? value : undefined

/**
 * Where everything is, the same for the client and the server. FORGE_HOME=DIR puts `config/`, `data/`, `state/`
 * and `run/` under DIR; otherwise the XDG directories, with /var/lib/forge and /run/forge for root, whatever
 * session root came by. A socket path longer than the system allows is replaced by a short one, made from a
 * fingerprint of the long one, in the user's runtime directory or in /tmp/forge-UID.
 * Throws `config_invalid`.
 */
export function pathsFrom({ env, uid, home, cwd }: PathsInput): Paths {
  const root = uid === 0
  const temporary = root ? '/run/forge' : `/tmp/forge-${uid}`
  const session = absolute(env.XDG_RUNTIME_DIR)
  const userRuntime = root || session === undefined ? temporary : join(session, 'forge')
  const place = (name: string, variable: string, fallback: string) => {
    const base = absolute(env[variable])
    return base === undefined ? fallback : join(base, name)
  }
  if (!home.startsWith('/') && !env.FORGE_HOME)
    throw new ForgeError('config_invalid', 'the home directory is not known', {
      hint: 'set HOME, or FORGE_HOME to a directory for everything of Forge',
    })

  const base =
    env.FORGE_HOME && (env.FORGE_HOME.startsWith('/') ? join(env.FORGE_HOME) : join(cwd, env.FORGE_HOME))
  const directories = base
    ? {
        config: join(base, 'config'),
        data: join(base, 'data'),
        state: join(base, 'state'),
        runtime: join(base, 'run'),
      }
    : {
        config: place('forge', 'XDG_CONFIG_HOME', join(home, '.config/forge')),
        data: place('forge', 'XDG_DATA_HOME', root ? '/var/lib/forge' : join(home, '.local/share/forge')),
        state: place('forge', 'XDG_STATE_HOME', join(home, '.local/state/forge')),
        runtime: userRuntime,
      }
  const wanted = join(directories.runtime, 'forge.sock')
  const short = `${fingerprint(wanted)}.sock`
  const candidates = [wanted, join(userRuntime, short), join(temporary, short)]
  const socket = candidates.find((each) => encoder.encode(each).length <= maxSocketBytes) ?? wanted
  return { ...directories, socket }
}

/**
 * What is wrong with a directory that must be the user's own, from its `lstat`; null when all is well. Check
 * it before using the socket: in /tmp somebody else may have made the directory first.
 */
export function privateDirectoryProblem(
  stat: { isDirectory(): boolean; readonly uid: number; readonly mode: number },
  uid: number,
): string | null {
  if (!stat.isDirectory()) return 'it is no directory'
  if (stat.uid !== uid) return `it belongs to uid ${stat.uid}, not to uid ${uid}`
  if ((stat.mode & 0o077) !== 0) return 'others may use it: its mode must be 0700'
  return null
}
