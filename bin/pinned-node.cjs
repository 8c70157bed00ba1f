// For a machine whose own Node is too old: the pinned one comes with the dependencies.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { spawn } = require('node:child_process')

/** The pinned Node's path, or undefined. Dependencies may be hoisted above the package. */
function find(from) {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
    if (fs.existsSync(file)) return file
    if (path.dirname(folder) === folder) return undefined
  }
}

function reexec(script, argv) {
  const node = find(path.dirname(script))
  if (node === undefined) {
    process.stderr.write(
      `forge: error: Forge needs Node 24 or newer; this is ${process.versions.node}\n` +
        '  run: npm install (it brings the pinned Node), or install Node 24\n',
    )
    process.exitCode = 3
    return
  }
  const child = spawn(node, [script].concat(argv), { stdio: 'inherit' })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']
  // A terminal sends Ctrl-C to both, and a second one would mean "leave at once".
  const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  for (const signal of signals)
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !terminal) child.kill(signal)
    })
  child.on('error', (error) => {
    process.stderr.write(`forge: error: ${node} does not start: ${error.message}\n`)
    process.exit(3)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    for (const name of signals) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

module.exports = { reexec }
