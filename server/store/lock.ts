import { spawn } from 'node:child_process'
import { mkdir, open, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'

export interface Lock {
  release(): Promise<void>
}

export interface DirectoryLock extends Lock {
  /** Whether the directory still holds the locked file; one that was removed or replaced protects nothing. */
  holds(): Promise<boolean>
}

/** flock(1) says 1 when another holds the lock. */
const heldByAnother = 1

/**
 * flock(1) locks the open file that it inherits as descriptor 3. Such a lock belongs to the open file,
 * not to the process that asked for it: this process keeps it after flock(1) has gone.
 */
function flock(fd: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['--exclusive', '--nonblock', '3'], {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', fd],
    })
    child.on('error', (cause) =>
      reject(
        new ForgeError('config_invalid', 'the program flock cannot be run', {
          hint: 'install util-linux',
          cause,
        }),
      ),
    )
    child.on('close', (code) => resolve(code))
  })
}

const lockedBy = (dir: string, pid: number | null) =>
  new ForgeError('server_locked', `another Forge server${pid === null ? '' : ` (pid ${pid})`} uses ${dir}`, {
    hint: pid === null ? 'stop it first' : `stop it with "forge stop" or "kill ${pid}"`,
    data: { dir, pid },
  })

/**
 * Keeps every other server off `dir`, on this host and across its containers, until `release` or the
 * end of this process, however it ends: the kernel holds the lock, so none is ever stale and no pid
 * has to be believed. Throws `server_locked`, whose data has the other's `pid`.
 */
export async function lockDataDir(dir: string): Promise<DirectoryLock> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const handle = await open(path.join(dir, 'lock'), 'a+', 0o600)
  const code = await flock(handle.fd).catch(async (error) => {
    await handle.close()
    throw error
  })
  if (code === 0) {
    await handle.truncate(0)
    await handle.write(`${process.pid}\n`)
    const locked = await handle.stat()
    return {
      release: () => handle.close(),
      async holds() {
        const there = await stat(path.join(dir, 'lock')).catch(() => null)
        return there?.ino === locked.ino && there.dev === locked.dev
      },
    }
  }
  // The other writes its pid just after it got the lock.
  let pid = Number.NaN
  for (let attempt = 0; attempt < 20 && Number.isNaN(pid); attempt += 1) {
    const buffer = Buffer.alloc(16)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    pid = Number.parseInt(buffer.toString('latin1', 0, bytesRead), 10)
    if (Number.isNaN(pid)) await sleep(10)
  }
  await handle.close()
  if (code !== heldByAnother)
    throw new ForgeError('internal', `flock on ${dir} ended with ${code ?? 'a signal'}`)
  throw lockedBy(dir, Number.isNaN(pid) ? null : pid)
}
