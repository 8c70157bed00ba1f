import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { type RunCommand, runCommand } from '#server/sandbox/host-tools/run.ts'
import { type BuildOptions, buildImage } from './build.ts'
import { whyNoBuild } from './debian.ts'
import { basePackages, guestRecipe, type ImageRecipe } from './recipe.ts'
import { findImage, listImages } from './store.ts'

/** With what the wire needs and nothing of the agent's tools: a build takes a few seconds. */
const recipe: ImageRecipe = { ...guestRecipe, packages: [...basePackages, 'python3-minimal'] }
const uid = process.geteuid?.() ?? -1
let why: string | null = null
let dir = ''
let options: BuildOptions

beforeAll(async () => {
  why = await whyNoBuild(runCommand, uid)
  dir = await mkdtemp(path.join(os.tmpdir(), 'forge-images-'))
  const program = path.join(dir, 'program')
  await writeFile(program, '#!/bin/sh\necho from the host\n')
  const hostFiles = [{ path: '/usr/local/bin/program', source: program }]
  options = { recipe, hostFiles, dir: path.join(dir, 'images'), uid, run: runCommand }
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function needsBuild(skip: TestContext['skip']): void {
  if (why === null) return
  console.log(`skipped: ${why}`)
  skip(why)
}

const tar = async (...args: string[]) =>
  (await promisify(execFile)('tar', args, { maxBuffer: 64 * 1024 * 1024 })).stdout

describe('a guest image', () => {
  test('is the same to the byte when it is built again from the same inputs', async ({ skip }) => {
    needsBuild(skip)
    const first = await buildImage(options)
    const second = await buildImage({ ...options, dir: path.join(dir, 'elsewhere'), again: true })
    expect(second.key).toBe(first.key)
    expect(second.digest).toBe(first.digest)
    expect(await readdir(options.dir)).toEqual([first.key])
  }, 600_000)

  test('is not built again while the archive has the same packages', async ({ skip }) => {
    needsBuild(skip)
    const [present] = await listImages(options.dir)
    const calls: string[][] = []
    const run: RunCommand = (file, args, more) => {
      calls.push([...args])
      return runCommand(file, args, more)
    }
    expect(await buildImage({ ...options, run })).toEqual(present)
    expect(calls.filter((args) => !args.includes('--simulate') && !args.includes('--version'))).toEqual([])
  }, 300_000)

  test('has the account, the folders and the files of its recipe, and what came from the host', async ({
    skip,
  }) => {
    needsBuild(skip)
    const [image] = await listImages(options.dir)
    const rootfs = image?.rootfs ?? ''
    const list = await tar('--numeric-owner', '-tvf', rootfs)
    expect(list).toMatch(/^drwxr-xr-x 1000\/1000 .* \.\/work\/$/m)
    expect(list).toMatch(/^drwxr-xr-x 1000\/1000 .* \.\/home\/agent\/$/m)
    expect(await tar('-xOf', rootfs, './etc/passwd')).toMatch(
      /^forge:\*:1000:1000:forge:\/home\/agent:\/bin\/bash$/m,
    )
    expect(await tar('-xOf', rootfs, './usr/local/bin/program')).toContain('from the host')
    expect(await tar('-xOf', rootfs, './etc/hostname')).toBe('sandbox\n')
  })

  test('holds no key, no identity, no log and no way to another account', async ({ skip }) => {
    needsBuild(skip)
    const [image] = await listImages(options.dir)
    const list = (await tar('--numeric-owner', '-tvf', image?.rootfs ?? '')).split('\n')
    const named = (pattern: RegExp) => list.filter((line) => pattern.test(line))
    expect(named(/ssh_host_/)).toEqual([])
    expect(named(/^-..s|^-.....s/)).toEqual([])
    expect(named(/\/etc\/machine-id$/).filter((line) => !/ 0 /.test(line))).toEqual([])
    expect(named(/^-\S+ \S+ +[1-9]\d* .* \.\/var\/log\//)).toEqual([])
    expect(named(/__pycache__/)).toEqual([])
  })
})

describe('what is in the store of images', () => {
  test('is an image only when it is whole', async ({ skip }) => {
    needsBuild(skip)
    const [image] = await listImages(options.dir)
    await writeFile(image?.rootfs ?? '', 'cut off')
    expect(await findImage(options.dir, image?.key ?? '')).toBeNull()
    expect(await listImages(options.dir)).toEqual([])
  })
})

test('where images cannot be built, the error says how to mend it', async () => {
  const run: RunCommand = async () => ({ code: null, stdout: '', stderr: 'no such program' })
  await expect(buildImage({ ...options, uid: 0, run })).rejects.toMatchObject({
    code: 'provider_unavailable',
    hint: expect.stringContaining('mmdebstrap'),
  })
  await expect(buildImage({ ...options, uid: 1000 })).rejects.toMatchObject({
    code: 'provider_unavailable',
    message: expect.stringContaining('root'),
  })
})
