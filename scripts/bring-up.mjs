/** Makes a fresh checkout ready. Runs on whatever Node is there (20 or later), so: plain JavaScript, no dependencies. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const oldest = 20
const wanted = 24

export const say = (text) => process.stderr.write(`${text}\n`)

/** A sentence for the person; anything else that is thrown is a bug. */
export class SetupError extends Error {}

/** Runs a command to its end with its output shown; throws SetupError when it fails. */
export function step(title, command, args, options = {}) {
  const { advice, ...spawnOptions } = options
  say(`- ${title}`)
  const started = Date.now()
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...spawnOptions })
  if (result.error) throw new SetupError(`${command}: ${result.error.message}`)
  if (result.status !== 0) {
    const line = [command, ...args].join(' ')
    throw new SetupError(
      [`${title} failed: ${line} ended with ${result.status ?? result.signal}`, advice]
        .filter(Boolean)
        .join('\n'),
    )
  }
  say(`  done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

const majorOf = (version) => Number(version.replace(/^v/, '').split('.')[0])

/** The pinned Node of the checkout, or this one where it is new enough. */
export function pinnedNode(checkout = root) {
  const pinned = path.join(checkout, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin/node')
  // It is built for glibc, so being there is not enough.
  const version = existsSync(pinned)
    ? spawnSync(pinned, ['--version'], { encoding: 'utf8' }).stdout?.trim()
    : ''
  if (version && majorOf(version) >= wanted) {
    // Sandboxes that root starts see it, under users of their own: npm may have installed it under a strict umask.
    if (process.getuid?.() === 0) chmodSync(pinned, 0o755)
    return pinned
  }
  if (majorOf(process.versions.node) >= wanted) return process.execPath
  throw new SetupError(
    `Node ${wanted} is needed and there is no pinned one that starts on ${process.platform} ${process.arch}: install it from your package manager, then run this again`,
  )
}

/** The environment in which every tool of the checkout finds the pinned Node first. */
export const environment = (node) => ({
  ...process.env,
  PATH: [path.dirname(node), path.join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(
    path.delimiter,
  ),
})

/** npx looks here first; without it, it would install the checkout into its own cache to find the program. */
export function linkProgram(checkout = root) {
  const link = path.join(checkout, 'node_modules/.bin/forge')
  if (lstatSync(link, { throwIfNoEntry: false })) return
  mkdirSync(path.dirname(link), { recursive: true })
  symlinkSync('../../bin/forge.cjs', link)
}

function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = path.join(root, 'node_modules', '.forge-installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  rmSync(stamp, { force: true })
  const args = ['ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional', '--loglevel=error']
  step('installing dependencies (npm ci)', 'npm', args, {
    advice: 'If the registry could not be reached: "npm ping" says why. Then run this again.',
  })
  writeFileSync(stamp, lock)
}

/** Dependencies, the pinned Node, the build, and, unless turned off, what the embedded sandbox provider needs. */
export function bringUp({ sandbox = true } = {}) {
  if (majorOf(process.versions.node) < oldest)
    throw new SetupError(
      `Node ${process.versions.node} is too old even to set up: ${oldest} or later is needed`,
    )
  const git = spawnSync('git', ['--version'], { encoding: 'utf8' })
  if (git.status !== 0)
    throw new SetupError('git is needed: install it, for example with: apt-get install git')
  installDependencies()
  linkProgram()
  const node = pinnedNode()
  const env = environment(node)
  step('building', node, ['scripts/build.ts'], { env })
  if (sandbox)
    step('checking what the sandbox needs', node, ['dist/setup.mjs'], {
      env,
      advice: 'The lines above say what to run; then run this again.',
    })
  return { node, env }
}

/**
 * Wraps a script's main function: a SetupError is a sentence, anything else is a bug with its stack. Ctrl-C reaches
 * the command under way too, which ends in its own way first; then this ends with 130.
 */
export function main(run) {
  let interrupted = false
  process.on('SIGINT', () => {
    interrupted = true
  })
  // A signal that came while a command ran is seen in the next turn of the event loop.
  const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  Promise.resolve()
    .then(run)
    .catch(async (error) => {
      await turn()
      if (!interrupted)
        say(error instanceof SetupError ? `\nforge: ${error.message}` : String(error?.stack ?? error))
      process.exitCode = 1
    })
    .then(turn)
    .then(() => {
      if (interrupted) process.exitCode = 130
    })
}
