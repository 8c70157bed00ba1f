import { posix } from 'node:path'
import { connectWire } from '../sandbox/wire/connect.ts'
import { realSshd } from '../sandbox/wire/real-sshd.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import type { Tool, ToolContext, ToolOutcome } from './tools/tool.ts'

/** A work tree behind a real wire, for tests: one OpenSSH server as a plain user. */
export interface TestSandbox extends AsyncDisposable {
  readonly wire: Wire
  readonly workdir: string
  /** Outside of the work tree. */
  readonly outputFolder: string
  /** Ends the wire, as a sandbox that dies does. */
  lose(): void
  /** What a command prints; throws when it fails. */
  sh(command: string): Promise<string>
  write(path: string, content: string | Buffer, mode?: number): Promise<void>
  read(path: string): Promise<string>
  use(tool: Tool, input: Record<string, unknown>, context?: Partial<ToolContext>): Promise<ToolOutcome>
}

export async function openTestSandbox(): Promise<TestSandbox> {
  const server = await realSshd()
  const { stream, kill } = server.open()
  return sandboxOver(await connectWire(stream, server), {
    folder: server.home,
    lose: kill,
    close: async () => server[Symbol.asyncDispose](),
  })
}

interface Place {
  /** For the work tree and the outputs. */
  readonly folder: string
  lose(): void
  close(): Promise<void>
}

export async function sandboxOver(wire: Wire, place: Place): Promise<TestSandbox> {
  const workdir = posix.join(place.folder, 'work')
  const outputFolder = posix.join(place.folder, 'output')
  const at = (path: string) => posix.resolve(workdir, path)
  await wire.run({ command: `mkdir -p ${workdir}` })
  let calls = 0
  return {
    wire,
    workdir,
    outputFolder,
    lose: place.lose,
    async sh(command) {
      const result = await wire.run({ command, cwd: workdir })
      if (result.code !== 0) throw new Error(`${command}: ${result.stderr}`)
      return result.stdout.toString()
    },
    write: (path, content, mode) => wire.files.write(at(path), content, mode),
    read: async (path) => (await wire.files.read(at(path), 100_000_000)).toString(),
    use: (tool, input, context = {}) =>
      tool.run(input, {
        wire,
        workdir,
        signal: new AbortController().signal,
        keep: posix.join(outputFolder, `call-${++calls}.txt`),
        remaining: () => 3_600_000,
        ...context,
      }),
    async [Symbol.asyncDispose]() {
      wire.close()
      await place.close()
    },
  }
}
