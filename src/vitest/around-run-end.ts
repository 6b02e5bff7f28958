import type { Reporter, Vitest } from 'vitest/node'

/** Calls back at the end of each run of the tests: in front of what Vitest's own reporters say of it, and behind that. */
export function tellAroundRunEnd(vitest: Vitest, { before, after }: { before: () => void; after: () => void }): void {
  // The reporters exist by now; those that a plugin adds to the configuration could only come last.
  const { reporters } = vitest as unknown as { reporters?: Reporter[] }
  reporters?.unshift({ onTestRunEnd: before })
  reporters?.push({ onTestRunEnd: after })
}
