import { createReadStream } from 'node:fs'
import path from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { bounded, type GitOptions, gitText, neutralGit } from './git.ts'
import { assertEnded, scriptCommand, tailOf } from './prepare.ts'
import { captureScript } from './prepare-script.ts'
import type { Repository } from './repository.ts'

export interface ReceiveLimits {
  /** Of the pack as it comes out of the sandbox. */
  readonly packBytes: number
  /** Of all its objects unpacked. */
  readonly objectBytes: number
  /** Milliseconds. */
  readonly timeout: number
}

/** What the sandbox says it has; its objects are in the repository and passed git's own checks. */
export interface Received {
  readonly tree: string
  /** The commit that the agent had checked out, when it had one. */
  readonly tip: string | null
}

/** One allocation, so that a small pack cannot unpack into all memory. */
export const hostileMemory = { GIT_ALLOC_LIMIT: '1g' }

const firstLinePattern = /^([0-9a-f]{40}|[0-9a-f]{64}) (-|[0-9a-f]{40}|[0-9a-f]{64})$/

interface Output {
  readonly line: string
  readonly rest: AsyncGenerator<Buffer>
  /** Reads on to the end, whoever stopped reading `rest`: a command ends only when its output was read. */
  drain(): Promise<void>
}

/** Takes the first line off a stream; the rest stays to be read. */
async function firstLine(stream: Readable): Promise<Output> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let seen = Buffer.alloc(0)
  while (seen.indexOf(10) < 0 && seen.length < 1024) {
    const { done, value } = await chunks.next()
    if (done) break
    seen = Buffer.concat([seen, value])
  }
  const end = seen.indexOf(10)
  async function* rest(): AsyncGenerator<Buffer> {
    yield seen.subarray(end + 1)
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  }
  const drain = async () => {
    while (!(await chunks.next()).done);
  }
  return { line: end < 0 ? '' : seen.toString('latin1', 0, end), rest: rest(), drain }
}

async function assertExpandedSize(
  repository: Repository,
  packId: string,
  limit: number,
  options: GitOptions,
) {
  const index = path.join(repository.gitDir, 'objects/pack', `pack-${packId}.idx`)
  const listed = await gitText(['show-index', `--object-format=${repository.objectFormat}`], {
    ...options,
    input: createReadStream(index),
    maxOutput: 512 << 20,
  })
  const names = listed.split('\n').map((line) => line.split(' ')[1] ?? '')
  const sizes = await gitText(['cat-file', '--batch-check=%(objectsize)'], {
    ...options,
    input: `${names.filter((name) => name !== '').join('\n')}\n`,
    maxOutput: 512 << 20,
  })
  const total = sizes.split('\n').reduce((sum, size) => sum + (Number(size) || 0), 0)
  if (total > limit)
    throw new ForgeError('too_large', `the work has ${total} bytes, more than ${limit}`, {
      hint: 'let the agent put large generated files into .gitignore',
    })
}

/** Everything that the two name, down to the last blob, is here. */
async function assertConnected(received: Received, start: string | null, options: GitOptions): Promise<void> {
  const type = (name: string) => gitText(['cat-file', '-t', name], options)
  if ((await type(received.tree)) !== 'tree' || (received.tip && (await type(received.tip)) !== 'commit'))
    throw new ForgeError('repository_invalid', 'the sandbox named objects of the wrong kind')
  const wanted = [received.tree, ...(received.tip ? [received.tip] : []), ...(start ? [`^${start}`] : [])]
  await neutralGit(['rev-list', '--objects', '--quiet', ...wanted, '--'], options)
}

/**
 * Brings the state of the work tree, and in mode `keep` the agent's own commits, into `repository`, which has
 * the start's objects. Throws `repository_invalid` for what git's checks refuse, `too_large`, `disk_full`,
 * `timed_out`, `interrupted`, `sandbox_lost`.
 */
export async function receiveWork(
  wire: Wire,
  into: { repository: Repository; path: string; start: string | null; mode: 'keep' | 'rebuild' },
  options: { limits: ReceiveLimits; signal: AbortSignal },
): Promise<Received> {
  const { repository, start } = into
  const { limits, signal } = options
  const git: GitOptions = {
    gitDir: repository.gitDir,
    env: hostileMemory,
    timeout: limits.timeout,
    signal,
  }
  const process = await wire.exec({
    command: scriptCommand(captureScript, [into.path, start ?? '', repository.objectFormat, into.mode]),
    timeout: limits.timeout,
    signal,
  })
  const stderr = tailOf(process.stderr)
  process.stdin.end()
  const ended = assertEnded(process, 'collecting the work in the sandbox', stderr)
  ended.catch(() => undefined)
  const { line, rest, drain } = await firstLine(process.stdout)
  const [, tree, tip] = firstLinePattern.exec(line) ?? []
  if (tree === undefined || tip === undefined) {
    process.kill('KILL')
    await drain()
    await ended
    throw new ForgeError('repository_invalid', 'the sandbox did not say what its work is')
  }
  const pack = new PassThrough()
  const sent = pipeline(rest, bounded(limits.packBytes, 'the work'), pack)
  sent.catch(() => {
    process.kill('KILL')
    return drain()
  })
  const indexed = gitText(['index-pack', '--stdin', '--fix-thin', '--strict'], { ...git, input: pack })
  const [packed, transfer] = await Promise.allSettled([indexed, sent])
  // A pack that was too large is also one that ends early.
  if (transfer.status === 'rejected' && ForgeError.from(transfer.reason).code === 'too_large')
    throw transfer.reason
  if (packed.status === 'rejected') process.kill('KILL')
  await ended
  if (packed.status === 'rejected') throw packed.reason
  const packId = packed.value.trim().split(/\s+/).at(-1) ?? ''
  await assertExpandedSize(repository, packId, limits.objectBytes, git)
  const received = { tree, tip: tip === '-' ? null : tip }
  await assertConnected(received, start, git)
  return received
}
