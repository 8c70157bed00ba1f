import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { build } from 'esbuild'
import { afterAll } from 'vitest'
import { startTestServer, type TestServer } from './server.ts'

const checkout = path.resolve(import.meta.dirname, '../..')

interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

interface StartOptions {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** A file instead of a pipe. */
  readonly stdout?: string
}

interface Running {
  readonly child: ChildProcess
  readonly result: Promise<Result>
}

/** The client as users run it, built into a folder of its own, with a home of its own. */
export interface TestProgram extends AsyncDisposable {
  readonly root: string
  readonly home: string
  readonly socket: string
  start(argv: readonly string[], options?: StartOptions): Running
  run(argv: readonly string[], options?: StartOptions & { input?: string }): Promise<Result>
}

/** Keys and proxies of whoever runs the tests must not reach them. */
const neutralEnv = (home: string, folder: string): Record<string, string> => ({
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  HOME: folder,
  FORGE_HOME: home,
  LC_ALL: 'C.UTF-8',
})

/** Built once for a test file; nobody changes it. */
let built: Promise<string> | undefined
afterAll(async () => {
  if (built) await rm(await built, { recursive: true, force: true })
})

async function bundle(): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), 'forge-bundle-'))
  await cp(path.join(checkout, 'bin'), path.join(root, 'bin'), { recursive: true })
  await cp(path.join(checkout, 'package.json'), path.join(root, 'package.json'))
  const shared = {
    absWorkingDir: checkout,
    bundle: true,
    platform: 'node',
    outdir: path.join(root, 'dist'),
    logLevel: 'silent',
  } as const
  await build({
    ...shared,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    entryPoints: { fast: 'cli/fast.ts' },
  })
  await build({
    ...shared,
    format: 'esm',
    splitting: true,
    outExtension: { '.js': '.mjs' },
    entryPoints: { cli: 'cli/main.ts' },
    banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
  })
  return root
}

export async function buildProgram(): Promise<TestProgram> {
  const folder = await mkdtemp(path.join(tmpdir(), 'forge-cli-'))
  const root = path.join(folder, 'package')
  const home = path.join(folder, 'home')
  built ??= bundle()
  await cp(await built, root, { recursive: true })
  await chmod(folder, 0o700)
  const start: TestProgram['start'] = (argv, options = {}) => {
    const target = options.stdout === undefined ? 'pipe' : openSync(options.stdout, 'w')
    const child = spawn(process.execPath, [path.join(root, 'bin/forge.cjs'), ...argv], {
      cwd: options.cwd ?? folder,
      env: { ...neutralEnv(home, folder), ...options.env },
      stdio: ['pipe', target, 'pipe'],
    })
    if (typeof target === 'number') closeSync(target)
    return { child, result: resultOf(child) }
  }
  return {
    root,
    home,
    socket: path.join(home, 'run/forge.sock'),
    start,
    run: (argv, options = {}) => {
      const { child, result } = start(argv, options)
      child.stdin?.on('error', () => {})
      child.stdin?.end(options.input ?? '')
      return result
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

async function resultOf(child: ChildProcess): Promise<Result> {
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (code, signal) => resolve([code, signal])),
  )
  const read = async (stream: NodeJS.ReadableStream | null) =>
    stream ? (await buffer(stream).catch(() => Buffer.alloc(0))).toString('utf8') : ''
  const [stdout, stderr, [code, signal]] = await Promise.all([read(child.stdout), read(child.stderr), ended])
  return { code, signal, stdout, stderr }
}

/** Resolves when `said` has appeared on the stream. */
export function waitFor(stream: NodeJS.ReadableStream, said: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      if (said.test(text)) resolve(text)
    })
    stream.on('end', () => reject(new Error(`ended without ${said}: ${text}`)))
  })
}

/** A server of the contract on the program's socket. */
export const serve = (program: TestProgram): Promise<TestServer> => startTestServer(program.socket)
