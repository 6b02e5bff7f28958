import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with one plain line of counts; in CI a skipped test is a failure, because it proves nothing. */
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
    process.stdout.write(`\ntests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
  }
}
