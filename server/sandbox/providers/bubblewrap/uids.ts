import { createHash } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'

export interface UidRange {
  readonly first: number
  readonly count: number
  /** Shared by all servers on the host and empty after a reboot, like the sandboxes themselves. */
  readonly lockDir: string
}

/** Above the ranges that Debian, systemd and subuid(5) give out. */
export const defaultUidRange: UidRange = { first: 1_900_000_000, count: 65_536, lockDir: '/run/forge/uids' }

export interface Uids {
  claim(id: string): Promise<number>
  /** The uids that are claimed for it: more than one only after crashes. */
  of(id: string): Promise<number[]>
  release(id: string): Promise<void>
  list(): Promise<string[]>
}

const linkIfFree = (from: string, to: string): Promise<boolean> =>
  link(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )

/** `owner` tells the claims of servers apart. A claim is a file that only one process can create. */
export function uidClaims(range: UidRange, owner: string): Uids {
  const ticketOf = (id: string) => path.join(range.lockDir, `.${owner}-${id}`)
  const text = (id: string) => `${owner} ${id}\n`
  async function claims(): Promise<{ uid: number; id: string }[]> {
    const names = await readdir(range.lockDir).catch(() => [])
    const found: { uid: number; id: string }[] = []
    for (const name of names) {
      if (!/^\d+$/.test(name)) continue
      const [by, id] = (await readFile(path.join(range.lockDir, name), 'utf8').catch(() => ''))
        .trim()
        .split(' ')
      if (by === owner && id !== undefined) found.push({ uid: Number(name), id })
    }
    return found
  }
  const of = async (id: string) => (await claims()).filter((claim) => claim.id === id).map(({ uid }) => uid)
  return {
    async claim(id) {
      await mkdir(range.lockDir, { recursive: true, mode: 0o700 })
      const start = createHash('sha256').update(text(id)).digest().readUInt32BE(0) % range.count
      // Written before it is linked: a claim that exists says whose it is, also after a crash.
      const ticket = ticketOf(id)
      await writeFile(ticket, text(id), { mode: 0o600 })
      try {
        for (let step = 0; step < range.count; step++) {
          const uid = range.first + ((start + step) % range.count)
          if (await linkIfFree(ticket, path.join(range.lockDir, String(uid)))) return uid
        }
      } finally {
        await rm(ticket, { force: true })
      }
      throw new ForgeError('provider_unavailable', 'every sandbox uid of this host is in use', {
        hint: `look for leftovers in ${range.lockDir}`,
      })
    },
    of,
    async release(id) {
      for (const uid of await of(id)) await rm(path.join(range.lockDir, String(uid)), { force: true })
      await rm(ticketOf(id), { force: true })
    },
    async list() {
      return (await claims()).map((claim) => claim.id)
    },
  }
}
