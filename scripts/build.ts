import { rename, rm } from 'node:fs/promises'
import { type BuildOptions, build } from 'esbuild'

const shared: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  logLevel: 'warning',
  sourcemap: 'linked',
  sourcesContent: false,
  loader: { '.liquid': 'text' },
  // ssh2 tries native crypto and does without.
  external: ['cpu-features', '*.node'],
}

/** What bundled CommonJS packages expect to find: require() for Node's own modules, and their folder. */
const requireBanner = {
  js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;",
}

/** CommonJS for what must start fast: Node's ESM loader costs some milliseconds. */
const fast: BuildOptions = {
  ...shared,
  format: 'cjs',
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  minify: true,
  entryPoints: { fast: 'cli/fast.ts' },
}

/** The rest of the client: each command is a chunk that is read when it is called. */
const client: BuildOptions = {
  ...shared,
  format: 'esm',
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'cli/[name]-[hash]',
  splitting: true,
  minify: true,
  entryPoints: { cli: 'cli/main.ts' },
  banner: requireBanner,
}

const server: BuildOptions = {
  ...shared,
  format: 'esm',
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  // Beside the entries: the server finds the package's folder from where it lies.
  chunkNames: 'server-[hash]',
  splitting: true,
  entryPoints: {
    server: 'server/start.ts',
    setup: 'server/setup.ts',
    'scripted-model': 'server/models/scripted/main.ts',
  },
  banner: requireBanner,
}

/** Built beside its place, so that a `forge` that runs meanwhile finds its files, and a build that fails spoils nothing. */
if (import.meta.main) {
  const outdir = `dist.${process.pid}`
  try {
    await Promise.all([fast, client, server].map((options) => build({ ...options, outdir })))
    await rm('dist', { recursive: true, force: true })
    await rename(outdir, 'dist')
  } finally {
    await rm(outdir, { recursive: true, force: true })
  }
}
