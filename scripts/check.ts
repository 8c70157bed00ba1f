/** `npm run check`: format, lint, types, arrows, cycles, sizes, generated files, tests. `--fast` leaves the tests out. */
import { spawnSync } from 'node:child_process'
import { checkArchitecture } from './architecture.ts'

const step = (name: string, run: () => boolean): boolean => {
  const ok = run()
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`)
  return ok
}
const command = (bin: string, ...args: string[]) => {
  const result = spawnSync(bin, args, { stdio: 'inherit' })
  return result.status === 0
}

const results = [
  step('format and lint', () => command('biome', 'check', '--error-on-warnings', '.')),
  step('types', () => command('tsc', '-p', '.')),
  step('arrows, cycles, sizes', () => {
    const problems = checkArchitecture('.')
    for (const problem of problems) console.error(problem)
    return problems.length === 0
  }),
  step('generated files', () => command(process.execPath, 'scripts/schema.ts', '--check')),
]
if (!process.argv.includes('--fast'))
  results.push(step('tests', () => command(process.execPath, 'scripts/test.mjs')))
process.exit(results.every(Boolean) ? 0 : 1)
