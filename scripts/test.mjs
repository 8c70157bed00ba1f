/** `npm test`: sets up what is missing, runs the whole suite (or what is named), and ends with one line of counts. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { bringUp, main, root } from './bring-up.mjs'

main(() => {
  const { node, env } = bringUp()
  const dir = mkdtempSync(path.join(tmpdir(), 'forge-test-'))
  const report = path.join(dir, 'report.json')
  try {
    const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
    const args = [
      'run',
      '--reporter=default',
      '--reporter=./scripts/test-report.ts',
      ...process.argv.slice(2),
    ]
    const result = spawnSync(node, [vitest, ...args], {
      cwd: root,
      env: { ...env, FORGE_TEST_REPORT: report },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const told = existsSync(report)
    const { passed, skipped, ...counted } = told
      ? JSON.parse(readFileSync(report, 'utf8'))
      : { passed: 0, failed: 1, skipped: [] }
    const failed = result.status === 0 ? counted.failed : Math.max(counted.failed, 1)
    if (!told) console.log(`vitest ended with ${result.status ?? result.signal} before it could report`)
    for (const { file, name, reason } of skipped) console.log(`skipped: ${file}: ${name} [${reason}]`)
    process.exitCode = failed === 0 ? 0 : 1
    console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
