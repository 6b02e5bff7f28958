import type { Reporter, TestModule, Vitest } from 'vitest/node'

/** Callbacks for the end of each test run. */
export interface AroundRunEnd {
  /** Called before Vitest's own reporters. */
  readonly before: (modules: readonly TestModule[], isPassed: boolean) => void
  /** Called after Vitest's own reporters. */
  readonly after: () => void
}

export function onRunEnd(vitest: Vitest, { before, after }: AroundRunEnd): void {
  // Inserts into Vitest's internal list, because reporters that a plugin adds to the configuration always run last.
  const { reporters } = vitest as unknown as { reporters?: Reporter[] }
  reporters?.unshift({ onTestRunEnd: (modules, _errors, reason) => before(modules, reason === 'passed') })
  reporters?.push({ onTestRunEnd: after })
}
