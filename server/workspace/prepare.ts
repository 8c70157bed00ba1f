import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import { quote } from '#core/sandbox/quote.ts'
import type { ExecProcess, Wire } from '../sandbox/wire/wire.ts'
import { prepareScript } from './prepare-script.ts'
import { type BundleFile, openPack, shallowText } from './repository.ts'

const keptStderr = 16_384

/** A script with its arguments as one command for the sandbox's bash. */
export const scriptCommand = (script: string, args: readonly string[]): string =>
  `set -- ${quote(args)}\n${script}`

/** Collects the end of standard error while the process runs. */
export function tailOf(stream: Readable): () => string {
  let tail = ''
  stream.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('utf8')).slice(-keptStderr)
  })
  return () => tail
}

/** Throws unless the process ended well: `disk_full`, `timed_out`, `interrupted`, `repository_invalid`. */
export async function assertEnded(process: ExecProcess, what: string, stderr: () => string): Promise<void> {
  const exit = await process.exit
  if (exit.aborted) throw new ForgeError('interrupted', `${what} was stopped`)
  if (exit.timedOut) throw new ForgeError('timed_out', `${what} took too long`)
  if (exit.code === 0) return
  const said = stderr().trim()
  if (/No space left on device|Disk quota exceeded/.test(said))
    throw new ForgeError('disk_full', `${what} failed: the sandbox's disk is full`)
  const last = said.split('\n').at(-1)?.slice(0, 500)
  throw new ForgeError('repository_invalid', `${what} failed${last ? `: ${last}` : ''}`, {
    data: { exitCode: exit.code, stderr: said },
  })
}

async function* shallowThenPack(bundle: BundleFile): AsyncGenerator<Buffer> {
  if (bundle.shallow.length > 0) yield Buffer.from(shallowText(bundle))
  yield* openPack(bundle) as AsyncIterable<Buffer>
}

/** Makes the work tree in the sandbox: a repository at `start`, or an empty one. */
export async function fillWorkTree(
  wire: Wire,
  content: { bundle: BundleFile; start: string } | null,
  options: { path: string; branch: string; timeout: number; signal: AbortSignal },
): Promise<{ files: number; bytes: number }> {
  const bundle = content?.bundle
  const shallowBytes = bundle ? Buffer.byteLength(shallowText(bundle)) : 0
  const command = scriptCommand(prepareScript, [
    options.path,
    options.branch,
    bundle?.header.objectFormat ?? 'sha1',
    content?.start ?? '',
    String(shallowBytes),
  ])
  const process = await wire.exec({ command, timeout: options.timeout, signal: options.signal })
  const stderr = tailOf(process.stderr)
  const stdout = tailOf(process.stdout)
  const input = bundle ? Readable.from(shallowThenPack(bundle)) : Readable.from([])
  // When the script gives up early its exit says why.
  const fed = pipeline(input, process.stdin).catch(() => undefined)
  await assertEnded(process, 'unpacking the repository in the sandbox', stderr)
  await fed
  const [files, bytes] = stdout().trim().split(' ').map(Number)
  return { files: files ?? 0, bytes: bytes ?? 0 }
}
