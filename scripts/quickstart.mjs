/** `npm run quickstart`: from a fresh checkout to an agent's diff on the screen. Idempotent; never asks without a terminal. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { askSecret } from './ask-secret.mjs'
import { bringUp, main, root, SetupError, say } from './bring-up.mjs'

const sample = path.join(root, 'server/models/demo/sample')
const work = path.join(root, '.forge/sample')
const prompt = 'The tests of this project fail. Find out why, fix the code, and show that they pass.'

const git = (...args) => {
  const result = spawnSync('git', ['-c', 'user.name=Forge', '-c', 'user.email=forge@localhost', ...args], {
    cwd: work,
    encoding: 'utf8',
  })
  if (result.status !== 0) throw new SetupError(`git ${args.join(' ')}: ${result.stderr}`)
}

/** A fresh copy each time, so that there is something to fix again. */
function makeSample() {
  rmSync(work, { recursive: true, force: true })
  mkdirSync(path.dirname(work), { recursive: true })
  cpSync(sample, work, { recursive: true })
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('commit', '-q', '-m', 'A small project with a failing test')
}

/** The code with which `forge doctor` says that no provider works. */
const exitUnavailable = 4

const forgeBin = path.join(root, 'bin/forge.cjs')

function forgeIn(node, env) {
  return (args, options = {}) =>
    spawnSync(node, [forgeBin, ...args], {
      cwd: root,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      ...options,
    })
}

/** Which model the server would take; `demo/scripted` when there is no key. */
function modelOf(forge) {
  const result = forge(['status', '--json'], { stdio: ['ignore', 'pipe', 2], encoding: 'utf8' })
  return JSON.parse(result.stdout).model
}

/** False when the person wants to leave. */
async function askForKey(forge) {
  say('\nForge has no model key yet. Without one it shows its built-in, scripted demonstration.')
  say("Anthropic's keys begin with sk-ant-; any other is taken for OpenAI's.")
  const key = await askSecret('API key (not shown; Enter to go on without): ', {
    input: process.stdin,
    output: process.stderr,
  })
  if (key === null) return false
  if (key === '') return true
  const setting = key.startsWith('sk-ant-') ? 'model.anthropic.apiKey' : 'model.openai.apiKey'
  const stored = forge(['config', 'set', setting, '-'], { input: key, stdio: ['pipe', 'ignore', 'inherit'] })
  must(stored, 'storing the key')
  say(`Stored. To take it away again: npx forge config unset ${setting}`)
  return true
}

function must(result, what) {
  if (result.error) throw new SetupError(`${what}: ${result.error.message}`)
  if (result.status !== 0)
    throw new SetupError(`${what} ended with exit code ${result.status ?? result.signal}`)
}

main(async () => {
  const started = Date.now()
  const { node, env } = bringUp()
  const forge = forgeIn(node, env)
  say('\n- starting the server and booting one sandbox of each provider')
  forge(['stop'], { stdio: 'ignore' })
  const probed = forge(['doctor'])
  if (probed.status === exitUnavailable)
    throw new SetupError('no sandbox can be started here: mend it as said above, then run this again')
  must(probed, 'forge doctor')
  let model = modelOf(forge)
  if (model.scripted && process.stdin.isTTY && process.stderr.isTTY && !process.env.CI) {
    if (!(await askForKey(forge))) {
      process.exitCode = 130
      return
    }
    model = modelOf(forge)
  }
  if (!existsSync(sample)) throw new SetupError(`the sample project is missing: ${sample}`)
  makeSample()
  say(
    `\n- running an agent on ${path.relative(root, work)} with ${model.scripted ? `${model.id} (scripted: no real model is asked)` : model.id}`,
  )
  say(`\n$ forge run --repo ${path.relative(root, work)} --check 'npm test' '${prompt}'\n`)
  must(forge(['run', '--repo', work, '--check', 'npm test', prompt]), 'forge run')
  say('\n$ forge diff\n')
  must(forge(['diff', 'last'], { env: { ...env, PAGER: 'cat' } }), 'forge diff')
  say(`\nReady in ${((Date.now() - started) / 1000).toFixed(0)} s. Next, in a repository of your own:\n`)
  say("  npx forge run --check 'npm test' 'what you want done'")
  say('  npx forge diff          look at the work')
  say('  npx forge apply         take it into your working tree')
})
