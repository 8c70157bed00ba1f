/** `npm test`: sets up what is missing, runs the whole suite (or what is named), and ends with one line of counts. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { bringUp, main, root } from './bring-up.mjs'

function counts(report) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  const skips = new Map()
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) total.failed += 1
    for (const test of file.assertionResults) {
      if (test.status === 'passed') total.passed += 1
      else if (test.status === 'failed') total.failed += 1
      else {
        total.skipped += 1
        skips.set(test.fullName, path.relative(root, file.name))
      }
    }
  }
  return { total, skips }
}

main(() => {
  const { node, env } = bringUp()
  const dir = mkdtempSync(path.join(tmpdir(), 'forge-test-'))
  const reportFile = path.join(dir, 'report.json')
  try {
    const result = spawnSync(
      node,
      [
        path.join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${reportFile}`,
        ...process.argv.slice(2),
      ],
      { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    const { total, skips } = counts(JSON.parse(readFileSync(reportFile, 'utf8')))
    for (const [name, file] of skips) console.log(`skipped: ${file}: ${name}`)
    process.exitCode = result.status === 0 && total.failed === 0 ? 0 : 1
    console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
