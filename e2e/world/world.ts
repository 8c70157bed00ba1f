import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Event } from '#core/event/event.ts'
import type { ReactiveScript, ScriptInput } from '#server/models/scripted/script.ts'
import { type ScriptedModel, startScriptedModel } from '#server/models/scripted/server.ts'

const root = path.resolve(import.meta.dirname, '../..')
export const program = path.join(root, 'bin/forge.cjs')

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ForgeOptions {
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly input?: string
  /** Another user and group; only root can be one. */
  readonly uid?: number
  /** Called with the whole standard output so far, at each piece. */
  readonly onStdout?: (text: string) => void
}

/** A `forge` that runs. */
export interface Started {
  readonly child: ChildProcess
  readonly finished: Promise<Finished>
  /** Resolves with the output so far when standard output or error matches; rejects when it ends before. */
  says(pattern: RegExp): Promise<string>
}

/** A Forge of its own: one folder for everything, the built CLI, a server that it starts by itself. */
export class World {
  readonly dir: string
  readonly #models: ScriptedModel[] = []

  private constructor(dir: string) {
    this.dir = dir
  }

  static async make(): Promise<World> {
    if (!existsSync(path.join(root, 'dist/server.mjs'))) throw new Error('dist/ is missing: npm run build')
    return new World(await mkdtemp('/var/tmp/forge-e2e-'))
  }

  get home(): string {
    return path.join(this.dir, 'home')
  }

  /** What every `forge` of this world starts with: nothing of the tests' own environment but PATH. */
  get env(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.dir,
      LANG: 'C.UTF-8',
      NO_COLOR: '1',
      FORGE_HOME: this.home,
    }
  }

  /** Runs the CLI to its end. */
  forge(args: readonly string[], options: ForgeOptions = {}): Promise<Finished> {
    return this.start(args, options).finished
  }

  start(args: readonly string[], options: ForgeOptions = {}): Started {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: options.cwd ?? this.dir,
      env: { ...this.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    })
    let stdout = ''
    let stderr = ''
    const watchers = new Set<() => void>()
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      options.onStdout?.(stdout)
      for (const watch of watchers) watch()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      for (const watch of watchers) watch()
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    const finished = new Promise<Finished>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    })
    const says = (pattern: RegExp) =>
      new Promise<string>((resolve, reject) => {
        const watch = () => {
          const found = [stdout, stderr].find((text) => pattern.test(text))
          if (found !== undefined) resolve(found)
        }
        watchers.add(watch)
        watch()
        void finished.then(() => reject(new Error(`ended without ${pattern}:\n${stdout}${stderr}`)), reject)
      })
    return { child, finished, says }
  }

  /** Runs the CLI and parses its one JSON document; throws with everything it said when it did not end with 0. */
  async json<T>(args: readonly string[], options: ForgeOptions = {}): Promise<T> {
    const result = await this.forge([...args, '--json'], options)
    if (result.code !== 0)
      throw new Error(`forge ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`)
    return JSON.parse(result.stdout) as T
  }

  async model(script: ScriptInput | ReactiveScript): Promise<ScriptedModel> {
    const model = await startScriptedModel(script)
    this.#models.push(model)
    return model
  }

  /** A git repository with one commit. */
  async repository(name: string, files: Record<string, string>): Promise<string> {
    const dir = path.join(this.dir, name)
    await mkdir(dir, { recursive: true })
    for (const [file, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(dir, file)), { recursive: true })
      await writeFile(path.join(dir, file), text)
    }
    await this.git(dir, 'init', '-q', '-b', 'main')
    await this.git(dir, 'add', '-A')
    await this.git(dir, 'commit', '-q', '-m', 'first')
    return dir
  }

  async git(dir: string, ...args: string[]): Promise<string> {
    const child = spawn('git', ['-c', 'user.name=Test', '-c', 'user.email=test@localhost', ...args], {
      cwd: dir,
    })
    let out = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (out += text))
    const code = await new Promise((resolve) => child.on('close', resolve))
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${out}`)
    return out
  }

  /** The pid of the running server. */
  async serverPid(): Promise<number> {
    return (await this.json<{ pid: number }>(['status'])).pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Sandboxes outlive their server.
    const left = await this.json<{ id: string }[]>(['sandbox', 'ls']).catch(() => [])
    for (const { id } of left) await this.forge(['sandbox', 'rm', id])
    await this.forge(['stop'])
    await Promise.all(this.#models.map((model) => model.close()))
    await rm(this.dir, { recursive: true, force: true })
  }
}

/** The events of `forge run --json`, each parsed by the schema. */
export const eventsOf = (stdout: string): Event[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Event.parse(JSON.parse(line)))
