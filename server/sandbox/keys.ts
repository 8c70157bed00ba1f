import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { makeKeyPair } from './wire/keys.ts'

const KeyPair = z.object({ privateKey: z.string(), publicKey: z.string() })
const SandboxKeys = z.object({ client: KeyPair, host: KeyPair })
export type SandboxKeys = z.infer<typeof SandboxKeys>

export interface KeyStore {
  make(): SandboxKeys
  /** Durable when it resolves; replaces those of an earlier attempt with the same id. */
  save(id: SandboxId, keys: SandboxKeys): Promise<void>
  /** Throws `sandbox_lost`: without its keys a sandbox cannot be reached. */
  load(id: SandboxId): Promise<SandboxKeys>
  remove(id: SandboxId): Promise<void>
}

/** One file a sandbox, mode 0600: private keys stay out of the database and its backups. */
export function keyStore(dir: string): KeyStore {
  const fileOf = (id: SandboxId) => path.join(dir, `${id}.json`)
  return {
    make: () => ({ client: makeKeyPair(), host: makeKeyPair() }),
    async save(id, keys) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const temporary = `${fileOf(id)}.new`
      await rm(temporary, { force: true })
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(JSON.stringify(keys))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, fileOf(id))
    },
    async load(id) {
      try {
        return SandboxKeys.parse(JSON.parse(await readFile(fileOf(id), 'utf8')))
      } catch (cause) {
        throw new ForgeError('sandbox_lost', `the keys of sandbox ${id} are gone`, { cause })
      }
    },
    remove: (id) => rm(fileOf(id), { force: true }),
  }
}
