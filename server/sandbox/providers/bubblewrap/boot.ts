import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { inDir } from './places.ts'

export interface BootCommand {
  readonly perl: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
}

/** The launch script could not mount the disk image; the message says why. */
export class DiskRefused extends Error {}

const keptBytes = 4096

function explain(code: number | null, signal: string | null, stderr: string): Error {
  const said = stderr.trim().split('\n').slice(-3).join('; ')
  if (code === 72) return new DiskRefused(said)
  if (code === 73 || /no space left/i.test(said))
    return new ForgeError('disk_full', `no space for the sandbox: ${said}`)
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`
  return new ForgeError('provider_unavailable', `bubblewrap did not start (${how}): ${said}`)
}

/**
 * Starts the sandbox in a session of its own and resolves when its process 1 listens. After that nothing ties
 * it to this process: its standard streams are closed here, and the caller may exit.
 */
export async function boot(command: BootCommand, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const child = spawn(command.perl, command.args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: command.env,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let stderr = ''
  let stdout = ''
  const onAbort = () => reject(new ForgeError('interrupted', 'starting the sandbox was stopped'))
  signal.addEventListener('abort', onAbort, { once: true })
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < keptBytes) stderr += chunk.toString('utf8')
  })
  child.stdout.on('data', (chunk: Buffer) => {
    stdout = (stdout + chunk.toString('utf8')).slice(0, keptBytes)
    if (stdout.startsWith('ready\n')) resolve()
  })
  child.on('error', (error) =>
    reject(new ForgeError('provider_unavailable', `cannot start ${command.perl}`, { cause: error })),
  )
  // `exit` may come before the last of stderr; `close` waits for both.
  child.on('close', (code, by) => reject(explain(code, by, stderr)))
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    child.stdout.destroy()
    child.stderr.destroy()
    child.unref()
  }
}

const StatusLine = z.object({
  'child-pid': z.number().int().optional(),
  'exit-code': z.number().int().optional(),
})

export interface BootStatus {
  /** Of process 1, as the host counts. */
  readonly childPid: number | null
  /** Set when it has ended; 128 and the signal when one ended it. */
  readonly exitCode: number | null
}

export async function readStatus(dir: string): Promise<BootStatus> {
  const text = await readFile(path.join(dir, inDir.status), 'utf8').catch(() => '')
  const status: { childPid: number | null; exitCode: number | null } = { childPid: null, exitCode: null }
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const parsed = StatusLine.safeParse(JSON.parse(line))
    if (!parsed.success) continue
    status.childPid = parsed.data['child-pid'] ?? status.childPid
    status.exitCode = parsed.data['exit-code'] ?? status.exitCode
  }
  return status
}
