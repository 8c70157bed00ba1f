import { stat } from 'node:fs/promises'
import path from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { quote } from '#core/sandbox/quote.ts'
import { openExec } from '../../client/exec.ts'
import { packTree } from './pack.ts'
import type { Transferred } from './transferred.ts'
import { unpackTree } from './unpack.ts'

interface Transfer {
  readonly socket: string
  readonly sandbox: SandboxId
  readonly source: string
  readonly target: string
}

const keptStderr = 4096

/** Runs a command in the sandbox; throws with its error output when it fails. */
async function open(transfer: Transfer, command: string, stdout: (bytes: Buffer) => Promise<void>) {
  let errors = ''
  const client = await openExec(
    transfer.socket,
    { sandbox: transfer.sandbox, start: { command } },
    {
      stdout,
      stderr: async (bytes) => {
        errors = (errors + bytes.toString('utf8')).slice(-keptStderr)
      },
    },
  )
  const done = client.exit.then((exit) => {
    if (exit.code !== 0)
      throw new ForgeError(
        /no such file|cannot stat|not found/i.test(errors) ? 'not_found' : 'conflict',
        `the sandbox could not copy: ${errors.trim() || `exit code ${exit.code}`}`,
      )
  })
  done.catch(() => {})
  return { client, done }
}

/** Empty means the home folder, as with scp. */
const remotePath = (text: string): string => (text === '' ? '.' : text.startsWith('-') ? `./${text}` : text)

/** Copies a file or folder of this machine into the sandbox. Throws `not_found`, `conflict`, and what the stream throws. */
export async function upload(transfer: Transfer): Promise<Transferred> {
  const target = remotePath(transfer.target)
  const name = path.basename(transfer.source)
  const tree = await packTree(transfer.source, name)
  const into = `tar -x -f - --no-same-owner -C ${quote([target])}`
  const renamed = path.posix.basename(target)
  // Everything in the archive begins with `name`; under another target name it is unpacked aside and moved.
  const aside = [
    `folder=${quote([path.posix.dirname(target)])}`,
    '[ -d "$folder" ] || { echo "no such folder: $folder" >&2; exit 1; }',
    'aside=$(mktemp -d "$folder/.forge-cp-XXXXXX")',
    'trap \'rm -rf "$aside"\' EXIT',
    'tar -x -f - --no-same-owner -C "$aside"',
    `mv -T -- "$aside"/${quote([name])} "$folder"/${quote([renamed])}`,
  ].join('\n')
  const script = `set -e\nif [ -d ${quote([target])} ]; then ${into}; else\n${target.endsWith('/') ? `echo "no such folder: "${quote([target])} >&2; exit 1` : aside}\nfi`
  const { client, done } = await open(transfer, script, async () => {})
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, callback) => {
      client.stdin(chunk).then(() => callback(), callback)
    },
    final: (callback) => {
      client.endStdin()
      callback()
    },
  })
  try {
    await Promise.race([pipeline(tree.stream, sink), done])
    await done
  } finally {
    tree.stream.destroy()
    client.close()
  }
  return tree.counted()
}

/** Copies out of the sandbox, whose archive is not trusted. Throws `not_found`, `denied` for a hostile archive. */
export async function download(transfer: Transfer): Promise<Transferred> {
  const source = remotePath(transfer.source)
  const isFolder = await stat(transfer.target).then(
    (found) => found.isDirectory(),
    () => false,
  )
  // `cp SANDBOX:/a/. here` means the folder itself; its own name is what the sandbox says it is.
  const script = `set -e\nsource=$(realpath -s -- ${quote([source])})\n[ -e "$source" ] || [ -L "$source" ] || { echo "no such file: $source" >&2; exit 1; }\ncd -- "$(dirname -- "$source")"\nexec tar -c -f - --format=pax -- "$(basename -- "$source")"`
  const archive = new PassThrough()
  const { client, done } = await open(
    transfer,
    script,
    (bytes) =>
      new Promise((resolve, reject) => archive.write(bytes, (error) => (error ? reject(error) : resolve()))),
  )
  done.then(
    () => archive.end(),
    (error: Error) => archive.destroy(error),
  )
  const base = path.posix.basename(path.posix.normalize(source))
  const place = isFolder
    ? { folder: transfer.target, name: ['.', '..', '/', ''].includes(base) ? undefined : base }
    : { folder: path.dirname(transfer.target), name: path.basename(transfer.target) }
  try {
    return await unpackTree(archive, place)
  } finally {
    client.close()
  }
}
