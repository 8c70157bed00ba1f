#!/usr/bin/env node
// Runs before anything else is loaded, and on whatever Node there is: plain CommonJS, old syntax.
'use strict'

const argv = process.argv.slice(2)

if (argv.length === 1 && argv[0] === '--version') {
  print(`${require('../package.json').version}\n`)
} else if (Number(process.versions.node.split('.')[0]) < 24) {
  require('./pinned-node.cjs').reexec(__filename, argv)
} else {
  start()
}

/** Node's stream for standard output takes as long to load as the rest of this file. */
function print(text) {
  try {
    require('node:fs').writeSync(1, text)
  } catch {
    process.stdout.write(text)
  }
}

function start() {
  const path = require('node:path')
  const fs = require('node:fs')
  const root = path.dirname(__dirname)
  const fast = path.join(root, 'dist', 'fast.cjs')
  if (!fs.existsSync(fast)) {
    process.stderr.write('forge: error: Forge is not built yet\n  run: npm run build\n')
    process.exitCode = 3
    return
  }
  const cache = process.env.XDG_CACHE_HOME || path.join(process.env.HOME || '/root', '.cache')
  require('node:module').enableCompileCache(path.join(cache, 'forge', 'compile'))
  require(fast).start(root, argv, (file) => import(file))
}
