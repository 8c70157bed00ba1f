import { defineConfig } from 'vitest/config'

/** What esbuild's `text` loader does for the bundle: a template file becomes a default-exported string. */
const liquid = {
  name: 'liquid',
  transform(code: string, id: string) {
    return id.endsWith('.liquid') ? { code: `export default ${JSON.stringify(code)}`, map: null } : undefined
  },
}

export default defineConfig({
  plugins: [liquid],
  test: {
    include: ['{core,server,cli,e2e,images,scripts}/**/*.test.{ts,tsx}'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
