import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { makeId, SandboxId } from '#core/id.ts'
import { type ProviderReport, SandboxLimits } from '#core/sandbox/sandbox.ts'
import type { SandboxProvider } from '../../provider.ts'
import { connectWire } from '../../wire/connect.ts'
import { makeKeyPair } from '../../wire/keys.ts'

const deadlineMs = 20_000
const limits = SandboxLimits.parse({ memoryMb: 256, pids: 64, diskMb: 64 })

const Fix = z.array(z.string())

interface Probed {
  readonly provider: SandboxProvider
  /** Does not wait for what takes minutes. */
  readonly create: SandboxProvider['create']
}

/** Boots a sandbox and runs `true` in it over the wire. */
export async function probe({ provider, create }: Probed, signal: AbortSignal): Promise<ProviderReport> {
  const id = SandboxId.parse(makeId('sbx', randomBytes))
  const [client, host] = [makeKeyPair(), makeKeyPair()]
  const within = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
  const base = { id: provider.name, kernel: provider.capabilities.kernel }
  const started = performance.now()
  try {
    const request = { id, limits, clientPublicKey: client.publicKey, hostPrivateKey: host.privateKey }
    const { handle, enforcement } = await create(request, within)
    const wire = await connectWire(await provider.open(id, handle), {
      clientPrivateKey: client.privateKey,
      hostPublicKey: host.publicKey,
      signal: within,
    })
    const { code } = await wire.run({ command: 'true', signal: within, timeout: deadlineMs })
    wire.close()
    if (code !== 0)
      throw new ForgeError('provider_unavailable', `\`true\` ended with exit code ${code} in it`)
    const bootMs = Math.round(performance.now() - started)
    const detail = 'containers of the Docker Engine on its kernel, without a network'
    return { ...base, works: true, bootMs, detail, fix: [], enforcement }
  } catch (error) {
    const { message, data } = ForgeError.from(error)
    const fix = Fix.safeParse(data?.fix).data ?? []
    return { ...base, works: false, bootMs: null, detail: message, fix, enforcement: null }
  } finally {
    await provider.destroy(id).catch(() => {})
  }
}
