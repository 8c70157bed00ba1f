/** `npm run check`: brings the checkout up, then hands over to check.ts under the pinned Node. */
import { spawnSync } from 'node:child_process'
import { bringUp, main, root } from './bring-up.mjs'

main(() => {
  const args = process.argv.slice(2)
  const { node, env } = bringUp({ sandbox: !args.includes('--fast') })
  const result = spawnSync(node, ['scripts/check.ts', ...args], { cwd: root, env, stdio: 'inherit' })
  process.exitCode = result.status ?? 1
})
