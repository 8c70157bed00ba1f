import { access, mkdir, readdir, readFile, rename, rm, statfs } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { type CommandResult, runCommand } from '../../host-tools/run.ts'
import { inDir } from './places.ts'

/** Below this much free space a sandbox could not even start. */
const leastFreeBytes = 32 * 1024 * 1024

export const imageName = 'disk.img'

const reachable = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  )

/** Null when a sandbox's disk can be an image of its own, otherwise why not. */
export async function whyNoImages(root: boolean): Promise<string | null> {
  if (!root) return 'mounting an image needs root'
  if (!(await reachable('/dev/loop-control'))) return 'this host has no loop devices'
  if ((await runCommand('mke2fs', ['-V'])).code !== 0) return 'mke2fs is not installed'
  return null
}

export async function assertRoom(dir: string): Promise<void> {
  const free = await statfs(dir)
  if (free.bavail * free.bsize < leastFreeBytes)
    throw new ForgeError('disk_full', `no space for a sandbox in ${dir}`, { hint: 'free some space there' })
}

function assertDone(result: CommandResult, what: string): void {
  if (result.code === 0) return
  const full = /no space left/i.test(result.stderr)
  throw new ForgeError(full ? 'disk_full' : 'internal', `${what}: ${result.stderr.trim()}`)
}

/**
 * An ext4 image for each size is made once and then copied: only its few used blocks are. Without a journal,
 * because a sandbox does not survive its host.
 */
export async function makeImage(templates: string, file: string, sizeMb: number): Promise<void> {
  const template = path.join(templates, `ext4-${sizeMb}.img`)
  if (!(await reachable(template))) {
    await mkdir(templates, { recursive: true, mode: 0o700 })
    const fresh = `${file}.template`
    const features = '^has_journal,sparse_super2,^resize_inode'
    const format = ['-q', '-F', '-t', 'ext4', '-m', '0', '-O', features, '-E', 'lazy_itable_init=1,nodiscard']
    assertDone(await runCommand('mke2fs', [...format, fresh, `${sizeMb}M`]), 'formatting a disk image')
    await rename(fresh, template)
  }
  const copy = await runCommand('cp', ['--sparse=always', '--reflink=auto', '--', template, file])
  assertDone(copy, 'copying a disk image')
}

/** The kernel lets go of a loop device shortly after the last process of its mount namespace. */
export async function waitForLoopRelease(dir: string): Promise<void> {
  const image = path.join(path.basename(dir), imageName)
  for (let attempt = 0; attempt < 500; attempt++) {
    const devices = (await readdir('/sys/block').catch(() => [])).filter((name) => name.startsWith('loop'))
    const backing = await Promise.all(
      devices.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')),
    )
    if (!backing.some((file) => file.trim().endsWith(`/${image}`))) return
    await sleep(5)
  }
  throw new ForgeError('internal', `a loop device still holds ${path.join(dir, imageName)}`)
}

/** Also where the agent made folders that their owner may not enter, and paths longer than PATH_MAX. */
export async function removeTree(dir: string, root: boolean): Promise<void> {
  if (!(await reachable(dir))) return
  // With an image there is nothing of the agent's in the folder.
  if (!(await reachable(path.join(dir, inDir.disk)))) return rm(dir, { recursive: true, force: true })
  if (!root) await runCommand('chmod', ['-R', 'u+rwx', '--', dir])
  const result = await runCommand('rm', ['-rf', '--one-file-system', '--', dir])
  if (result.code !== 0) await rm(dir, { recursive: true, force: true, maxRetries: 3 })
}
