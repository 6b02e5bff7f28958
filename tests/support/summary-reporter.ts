import { appendFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/**
 * Prints one line of counts at the end of a run, and appends it to the file `TEST_SUMMARIES`. In CI a skipped test is a
 * failure, as it proves nothing.
 */
export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    for (const test of modules.flatMap((module) => [...module.children.allTests()])) {
      const { state } = test.result()
      counts[state === 'pending' ? 'skipped' : state] += 1
    }
    if (process.env.CI && counts.skipped > 0) {
      process.exitCode = 1
    }
    const summary = `tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
    process.stdout.write(`\n${summary}\n`)
    const file = process.env['TEST_SUMMARIES']
    if (file) {
      appendFileSync(file, `${summary}\n`)
    }
  }
}
