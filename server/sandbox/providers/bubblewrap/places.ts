import { createHash } from 'node:crypto'
import path from 'node:path'

/** Where the provider keeps what on the host. All of it is the server's user's alone. */
export interface Places {
  /** Tells the marks of servers on one host apart. */
  readonly owner: string
  readonly sandboxes: string
  readonly templates: string
  /** Files that every sandbox gets alike. */
  readonly shared: string
  dir(id: string): string
  /** An argument by which the processes of one sandbox are known in the host's process list. */
  mark(id: string): string
}

export function places(stateDir: string): Places {
  const owner = createHash('sha256').update(path.resolve(stateDir)).digest('hex').slice(0, 16)
  const sandboxes = path.join(stateDir, 'sandboxes')
  return {
    owner,
    sandboxes,
    templates: path.join(stateDir, 'templates'),
    shared: path.join(stateDir, 'shared'),
    dir: (id) => path.join(sandboxes, id),
    mark: (id) => `forge-sandbox:${owner}:${id}`,
  }
}

/** Names inside a sandbox's folder. */
export const inDir = {
  /** The socket that process 1 listens on. */
  control: 'control',
  /** JSON lines of `bwrap --json-status-fd`. */
  status: 'status',
  hostKey: 'host_key',
  authorizedKeys: 'authorized_keys',
  /** Writable folders where there is no image. */
  disk: 'disk',
} as const
