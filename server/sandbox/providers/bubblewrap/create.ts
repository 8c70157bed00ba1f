import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import type { Enforcement } from '#core/sandbox/sandbox.ts'
import type { Created, CreateRequest } from '../../provider.ts'
import { whenAllEnded } from '../../when-all-ended.ts'
import { boot, readStatus } from './boot.ts'
import { launchArguments } from './command.ts'
import { assertRoom, imageName, makeImage } from './disk.ts'
import { inDir } from './places.ts'
import { processStat } from './processes.ts'
import type { Setup } from './setup.ts'

/** The launch script runs with nothing of the server's environment. */
function launchEnv(setup: Setup): Record<string, string> {
  const libraries = setup.common.tools.unpacked?.libraryDirs ?? []
  const { root, stage, tools } = setup.common
  const seen = libraries.map((dir) =>
    root ? path.join(stage, 'tools', path.relative(tools.unpacked?.root ?? '/', dir)) : dir,
  )
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    ...(seen.length > 0 ? { LD_LIBRARY_PATH: seen.join(':') } : {}),
  }
}

async function makeDisk(setup: Setup, dir: string, sizeMb: number): Promise<Enforcement> {
  if (setup.noImages === null) {
    await makeImage(setup.common.places.templates, path.join(dir, imageName), sizeMb)
    return { enforced: true, how: 'a file system of this size of its own' }
  }
  const disk = path.join(dir, inDir.disk)
  await mkdir(disk)
  // Whatever the umask: the sandbox's uid passes through it.
  await chmod(disk, 0o711)
  return { enforced: false, how: setup.noImages }
}

/** Throws DiskRefused when the host will not mount the image; whatever it made is then still there. */
export async function createSandbox(
  setup: Setup,
  request: CreateRequest,
  signal: AbortSignal,
): Promise<Created> {
  const { common, cgroups, uids } = setup
  const { id, limits } = request
  const dir = common.places.dir(id)
  await assertRoom(common.places.sandboxes)
  await mkdir(dir, { mode: 0o700 })
  const [uid, groups, disk] = await whenAllEnded([
    uids === null ? Promise.resolve(null) : uids.claim(id),
    cgroups.create(id, limits),
    makeDisk(setup, dir, limits.diskMb),
    writeFile(path.join(dir, inDir.hostKey), request.hostPrivateKey, { mode: 0o600 }),
    writeFile(path.join(dir, inDir.authorizedKeys), `${request.clientPublicKey}\n`, { mode: 0o600 }),
  ])
  signal.throwIfAborted()
  const countedByCgroup = groups.enforcement.pids.enforced
  const one = {
    id,
    uid,
    image: disk.enforced,
    join: groups.join,
    pids: countedByCgroup ? null : limits.pids,
  }
  await boot({ perl: common.tools.perl, args: launchArguments(common, one), env: launchEnv(setup) }, signal)
  const { childPid } = await readStatus(dir)
  const stat = childPid === null ? null : await processStat(childPid)
  if (stat === null)
    throw new ForgeError('provider_unavailable', 'the sandbox ended as soon as it had started')
  return {
    handle: { pid: stat.pid, start: stat.start, uid },
    enforcement: {
      ...groups.enforcement,
      pids: countedByCgroup
        ? groups.enforcement.pids
        : { enforced: true, how: 'rlimit of its user namespace' },
      disk,
    },
  }
}
