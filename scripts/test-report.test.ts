import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '..')

const suite = `
it('passes', () => {})
it('fails', () => { throw new Error('on purpose') })
it('skips itself', ({ skip }) => skip('no moon tonight'))
it.skip('is skipped (the moon is far)', () => {})
it.skip('is skipped', () => {})
describe('a group whose hook throws', () => {
  beforeAll(() => { throw new Error('on purpose') })
  it('never runs', () => {})
})
`

it('counts what failed outside of tests, and says why a test was skipped', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'forge-report-'))
  try {
    await writeFile(path.join(dir, 'one.test.js'), suite)
    await writeFile(path.join(dir, 'two.test.js'), "throw new Error('on purpose')")
    const report = path.join(dir, 'report.json')
    const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
    const reporter = `--reporter=${path.join(root, 'scripts/test-report.ts')}`
    spawnSync(process.execPath, [vitest, 'run', '--globals', reporter, `--root=${dir}`], {
      env: { PATH: process.env.PATH, FORGE_TEST_REPORT: report },
    })
    const { skipped, ...counts } = JSON.parse(await readFile(report, 'utf8'))
    expect(counts).toEqual({ passed: 1, failed: 3 })
    expect(skipped.map((one: { name: string; reason: string }) => [one.name, one.reason])).toEqual([
      ['skips itself', 'no moon tonight'],
      ['is skipped (the moon is far)', 'the moon is far'],
      ['is skipped', 'no reason given'],
      ['a group whose hook throws > never runs', 'no reason given'],
    ])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
