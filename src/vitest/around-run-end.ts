import type { Reporter, TestModule, Vitest } from 'vitest/node'

/** What is called at the end of each run of the tests. */
export interface AroundRunEnd {
  /** In front of what Vitest's own reporters say of it. */
  readonly before: (modules: readonly TestModule[], isPassed: boolean) => void
  /** After that. */
  readonly after: () => void
}

export function tellAroundRunEnd(vitest: Vitest, { before, after }: AroundRunEnd): void {
  // The reporters exist by now; those that a plugin adds to the configuration could only come last.
  const { reporters } = vitest as unknown as { reporters?: Reporter[] }
  reporters?.unshift({ onTestRunEnd: (modules, _errors, reason) => before(modules, reason === 'passed') })
  reporters?.push({ onTestRunEnd: after })
}
