import { randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import path from 'node:path'
import { makeId, SandboxId } from '#core/id.ts'
import { SandboxLimits } from '#core/sandbox/sandbox.ts'
import { toolsDir } from '#server/lifecycle/places.ts'
import { findHostTools } from '#server/sandbox/host-tools/find.ts'
import type { SandboxProvider } from '#server/sandbox/provider.ts'
import { bubblewrapProvider } from '#server/sandbox/providers/bubblewrap/provider.ts'
import { connectWire } from '#server/sandbox/wire/connect.ts'
import { makeKeyPair } from '#server/sandbox/wire/keys.ts'
import type { Wire } from '#server/sandbox/wire/wire.ts'

type Rig = AsyncDisposable &
  ({ readonly unavailable: null; readonly provider: SandboxProvider } | { readonly unavailable: string })

/** The default provider in this process, as the server has it. */
export async function sandboxRig(scratch: string): Promise<Rig> {
  const uid = process.geteuid?.() ?? -1
  const found = await findHostTools(toolsDir(process.env, { uid, home: homedir() }))
  const nothing = { [Symbol.asyncDispose]: async () => undefined }
  if (found.tools === null) return { unavailable: `the host lacks ${found.missing.join(', ')}`, ...nothing }
  const provider = bubblewrapProvider({
    stateDir: path.join(scratch, 'bubblewrap'),
    tools: found.tools,
    serverUid: uid,
    extraBin: [process.execPath],
  })
  const report = await provider.probe(AbortSignal.timeout(60_000))
  if (!report.works) return { unavailable: `bubblewrap does not work here: ${report.detail}`, ...nothing }
  return {
    unavailable: null,
    provider,
    async [Symbol.asyncDispose]() {
      for (const id of await provider.list()) await provider.destroy(id)
    },
  }
}

export interface Booted extends AsyncDisposable {
  readonly wire: Wire
}

/** A new sandbox with its wire open. */
export async function bootOne(provider: SandboxProvider): Promise<Booted> {
  const id = SandboxId.parse(makeId('sbx', (bytes) => randomBytes(bytes)))
  const [client, host] = [makeKeyPair(), makeKeyPair()]
  const limits = SandboxLimits.parse({})
  const { handle } = await provider.create(
    { id, limits, clientPublicKey: client.publicKey, hostPrivateKey: host.privateKey },
    new AbortController().signal,
  )
  const wire = await connectWire(await provider.open(id, handle), {
    clientPrivateKey: client.privateKey,
    hostPublicKey: host.publicKey,
  })
  return {
    wire,
    async [Symbol.asyncDispose]() {
      wire.close()
      await provider.destroy(id)
    },
  }
}
