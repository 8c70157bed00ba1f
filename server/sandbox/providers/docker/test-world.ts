import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildImage } from '#images/build.ts'
import { whyNoBuild } from '#images/debian.ts'
import { guestRecipe } from '#images/recipe.ts'
import { runCommand } from '../../host-tools/run.ts'
import { connectEngine } from './engine.ts'
import { ensureImage, type GuestImage } from './image.ts'
import { type OwnEngine, startOwnEngine } from './own-engine.ts'

/** An engine of the test's own with the guest image in it. */
export interface DockerWorld extends AsyncDisposable {
  readonly engine: OwnEngine
  readonly image: GuestImage
  /** For state folders; gone at the end. */
  readonly scratch: string
}

/** Images outlive the tests: they take a minute to build. */
const imagesDir = path.join(os.tmpdir(), 'forge-test-images')

const lock = { staleMs: 180_000, pauseMs: 200 }

/** Test files run side by side: one of them builds. A run that was killed leaves its lock behind. */
async function locked<T>(work: () => Promise<T>): Promise<T> {
  const dir = path.join(imagesDir, 'lock')
  const taken = () =>
    mkdir(dir).then(
      () => true,
      () => false,
    )
  while (!(await taken())) {
    const held = await stat(dir).catch(() => null)
    if (held !== null && Date.now() - held.mtimeMs > lock.staleMs)
      await rm(dir, { recursive: true, force: true })
    await sleep(lock.pauseMs)
  }
  try {
    return await work()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function builtImage(): Promise<GuestImage> {
  const uid = process.geteuid?.() ?? -1
  await mkdir(imagesDir, { recursive: true, mode: 0o700 })
  if ((await stat(imagesDir)).uid !== uid) throw new Error(`${imagesDir} belongs to someone else`)
  const options = { recipe: guestRecipe, hostFiles: [], dir: imagesDir, uid, run: runCommand }
  const { key, rootfs } = await locked(() => buildImage(options))
  return { name: `forge/guest:${key}`, archive: rootfs, fix: [] }
}

/** Gives why this machine cannot have one instead. */
export async function dockerWorld(): Promise<DockerWorld | string> {
  const why = await whyNoBuild(runCommand, process.geteuid?.() ?? -1)
  if (why !== null) return why
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'forge-docker-'))
  const clear = () => rm(scratch, { recursive: true, force: true })
  const engine = await startOwnEngine(path.join(scratch, 'engine'))
  if (engine.unavailable !== null) {
    await clear()
    return engine.unavailable
  }
  const end = async () => {
    await engine[Symbol.asyncDispose]()
    await clear()
  }
  try {
    const image = await builtImage()
    await ensureImage(await connectEngine({ kind: 'unix', path: engine.socket }), image)
    return { engine, image, scratch, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}
