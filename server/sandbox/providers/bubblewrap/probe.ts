import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ForgeError } from '#core/errors.ts'
import { makeId, SandboxId } from '#core/id.ts'
import { type ProviderReport, SandboxLimits } from '#core/sandbox/sandbox.ts'
import type { SandboxProvider } from '../../provider.ts'
import { connectWire } from '../../wire/connect.ts'
import { makeKeyPair } from '../../wire/keys.ts'

const deadlineMs = 10_000
const limits = SandboxLimits.parse({ memoryMb: 256, pids: 64, diskMb: 64 })

/** Kernel settings that stop an unprivileged user namespace, with what each must be. */
const switches: readonly { file: string; refuses: (value: string) => boolean; sysctl: string }[] = [
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    refuses: (value) => value === '0',
    sysctl: 'kernel.unprivileged_userns_clone=1',
  },
  {
    file: '/proc/sys/user/max_user_namespaces',
    refuses: (value) => value === '0',
    sysctl: 'user.max_user_namespaces=10000',
  },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    refuses: (value) => value === '1',
    sysctl: 'kernel.apparmor_restrict_unprivileged_userns=0',
  },
]

async function diagnose(): Promise<{ why: string; fix: string[] } | null> {
  for (const { file, refuses, sysctl } of switches) {
    const value = (await readFile(file, 'utf8').catch(() => '')).trim()
    if (refuses(value))
      return {
        why: `${file} is ${value}, which forbids user namespaces`,
        fix: [`sudo sysctl -w ${sysctl}`, `echo ${sysctl} | sudo tee /etc/sysctl.d/60-forge.conf`],
      }
  }
  return null
}

/** Boots a sandbox and runs `true` in it over the wire. */
export async function probe(
  provider: SandboxProvider,
  detail: string,
  signal: AbortSignal,
): Promise<ProviderReport> {
  const id = SandboxId.parse(makeId('sbx', randomBytes))
  const [client, host] = [makeKeyPair(), makeKeyPair()]
  const within = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
  const base = { id: provider.name, kernel: provider.capabilities.kernel }
  const started = performance.now()
  try {
    const request = { id, limits, clientPublicKey: client.publicKey, hostPrivateKey: host.privateKey }
    const { handle, enforcement } = await provider.create(request, within)
    const options = {
      clientPrivateKey: client.privateKey,
      hostPublicKey: host.publicKey,
      signal: within,
      handshakeTimeout: deadlineMs,
    }
    const wire = await connectWire(await provider.open(id, handle), options)
    const { code } = await wire.run({ command: 'true', signal: within, timeout: deadlineMs })
    wire.close()
    if (code !== 0)
      throw new ForgeError('provider_unavailable', `\`true\` ended with exit code ${code} in it`)
    const bootMs = Math.round(performance.now() - started)
    return { ...base, works: true, bootMs, detail, fix: [], enforcement }
  } catch (error) {
    const found = await diagnose()
    const { message, hint } = ForgeError.from(error)
    return {
      ...base,
      works: false,
      bootMs: null,
      detail: found === null ? message : `${message} (${found.why})`,
      fix: found?.fix ?? (hint === undefined ? [] : [hint]),
      enforcement: null,
    }
  } finally {
    await provider.destroy(id).catch(() => {})
  }
}
