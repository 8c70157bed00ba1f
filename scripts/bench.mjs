/** `npm run bench`: brings the checkout up, then measures under the pinned Node. */
import { spawnSync } from 'node:child_process'
import { bringUp, main, root } from './bring-up.mjs'

main(() => {
  const { node, env } = bringUp()
  const result = spawnSync(node, ['bench/main.ts', ...process.argv.slice(2)], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
  process.exitCode = result.status ?? 1
})
