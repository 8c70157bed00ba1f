import { writeFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** What scripts/test.mjs reads. */
export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly { readonly file: string; readonly name: string; readonly reason: string }[]
}

/** A test says why it is skipped when it skips itself, or in brackets at the end of its name. */
function reasonOf(test: TestCase): string {
  const result = test.result()
  const note = result.state === 'skipped' ? result.note : undefined
  return note ?? /\(([^()]+)\)$/.exec(test.name)?.[1] ?? 'no reason given'
}

/**
 * Errors outside of any test count as failures: a file that does not load, a hook that throws (whose tests
 * vitest calls skipped), a promise that nobody waits for.
 */
function testReport(modules: readonly TestModule[], unhandled: number): TestReport {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  const passed = tests.filter((test) => test.result().state === 'passed')
  const skipped = tests.filter((test) => test.result().state === 'skipped')
  const broken = modules
    .flatMap((module) => [module, ...module.children.allSuites()])
    .filter((group) => group.errors().length > 0)
  return {
    passed: passed.length,
    failed: tests.length - passed.length - skipped.length + broken.length + unhandled,
    skipped: skipped.map((test) => ({
      file: test.module.relativeModuleId,
      name: test.fullName,
      reason: reasonOf(test),
    })),
  }
}

export default class implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const file = process.env.FORGE_TEST_REPORT
    if (file !== undefined) writeFileSync(file, JSON.stringify(testReport(modules, unhandled.length)))
  }
}
