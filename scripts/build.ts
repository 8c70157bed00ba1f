import { rm } from 'node:fs/promises'
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

/** CommonJS for what must start fast: Node's ESM loader costs some milliseconds. */
const client: BuildOptions = {
  ...shared,
  format: 'cjs',
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  minify: true,
  entryPoints: { fast: 'cli/fast.ts', cli: 'cli/main.ts' },
}

const server: BuildOptions = {
  ...shared,
  format: 'esm',
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  entryPoints: {
    server: 'server/main.ts',
    setup: 'server/setup.ts',
    'scripted-model': 'server/models/scripted/main.ts',
  },
  // Bundled CommonJS packages call require() for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
}

if (import.meta.main) {
  await rm('dist', { recursive: true, force: true })
  await Promise.all([build(client), build(server)])
}
