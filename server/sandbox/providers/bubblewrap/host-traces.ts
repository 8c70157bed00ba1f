import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { defaultUidRange } from './uids.ts'

const textOf = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')

/** Everything on the host that still names the sandbox, found without the provider's help. Empty is clean. */
export async function hostTraces(stateDir: string, id: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // A zombie is only what its parent, perhaps the host's own init, has not yet read.
    const isZombie = /^State:\s+Z/m.test(await textOf(`/proc/${pid}/status`))
    if (Number(pid) === process.pid || isZombie) continue
    if ((await textOf(`/proc/${pid}/cmdline`)).includes(`:${id}`)) found.push(`process ${pid}`)
    if ((await textOf(`/proc/${pid}/cgroup`)).includes(id)) found.push(`process ${pid} in a cgroup`)
  }
  for (const device of await readdir('/sys/block').catch(() => []))
    if ((await textOf(`/sys/block/${device}/loop/backing_file`)).includes(id))
      found.push(`loop device ${device}`)
  if ((await textOf('/proc/self/mountinfo')).includes(id)) found.push('a mount')
  for (const uid of await readdir(defaultUidRange.lockDir).catch(() => []))
    if ((await textOf(path.join(defaultUidRange.lockDir, uid))).includes(id))
      found.push(`the claim of uid ${uid}`)
  for (const base of ['/sys/fs/cgroup', stateDir]) {
    const entries = await readdir(base, { recursive: true }).catch(() => [])
    found.push(...entries.filter((entry) => path.basename(entry).startsWith(id)))
  }
  return found
}
