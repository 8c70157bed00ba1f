import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { makeId, SandboxId } from '#core/id.ts'
import { SandboxLimits } from '#core/sandbox/sandbox.ts'
import type { Created, SandboxProvider } from '../../provider.ts'
import { connectWire } from '../../wire/connect.ts'
import { makeKeyPair } from '../../wire/keys.ts'
import { testHostTools } from '../../wire/real-sshd.ts'
import type { Wire } from '../../wire/wire.ts'
import { bubblewrapProvider } from './provider.ts'
import type { BubblewrapOptions } from './setup.ts'

export const serverUid = os.userInfo().uid
export const asRoot = serverUid === 0

/** A running sandbox with a wire into it. */
export interface TestSandbox extends Created {
  readonly id: SandboxId
  readonly wire: Wire
  /** Output of a command, both streams. */
  text(command: string): Promise<string>
  /** Output of a perl program in it. */
  perl(program: string): Promise<string>
}

export interface TestWorld extends AsyncDisposable {
  readonly provider: SandboxProvider
  readonly stateDir: string
  start(limits?: Partial<SandboxLimits>): Promise<TestSandbox>
}

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes))
export const newId = (): SandboxId => SandboxId.parse(makeId('sbx', random))

/** Small enough that many run side by side. */
export const testLimits = SandboxLimits.parse({ memoryMb: 256, pids: 128, diskMb: 64 })

export async function connectTo(
  provider: SandboxProvider,
  id: SandboxId,
  access: { created: Created; clientPrivateKey: string; hostPublicKey: string },
): Promise<Wire> {
  return connectWire(await provider.open(id, access.created.handle), access)
}

async function outputOf(wire: Wire, command: string, input = ''): Promise<string> {
  const process = await wire.exec({ command })
  process.stdin.end(input)
  process.stderr.resume()
  const chunks: Buffer[] = []
  for await (const chunk of process.stdout) chunks.push(chunk)
  await process.exit
  return Buffer.concat(chunks).toString().trim()
}

/** The real provider in a state folder of its own. What it started is destroyed at the end. */
export async function testWorld(options: Partial<BubblewrapOptions> = {}): Promise<TestWorld> {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), 'forge-bubblewrap-'))
  const tools = await testHostTools()
  const provider = bubblewrapProvider({ stateDir, tools, serverUid, ...options })
  const wires: Wire[] = []
  return {
    provider,
    stateDir,
    async start(limits = {}) {
      const id = newId()
      const [client, host] = [makeKeyPair(), makeKeyPair()]
      const created = await provider.create(
        {
          id,
          limits: { ...testLimits, ...limits },
          clientPublicKey: client.publicKey,
          hostPrivateKey: host.privateKey,
        },
        AbortSignal.timeout(20_000),
      )
      const access = { created, clientPrivateKey: client.privateKey, hostPublicKey: host.publicKey }
      const wire = await connectTo(provider, id, access)
      wires.push(wire)
      const text = (command: string) => outputOf(wire, `exec 2>&1; ${command}`)
      const perl = (program: string) => outputOf(wire, 'exec perl - 2>&1', program)
      return { ...created, id, wire, text, perl }
    },
    async [Symbol.asyncDispose]() {
      for (const wire of wires) wire.close()
      for (const id of await provider.list()) await provider.destroy(id)
      await rm(stateDir, { recursive: true, force: true })
    },
  }
}
