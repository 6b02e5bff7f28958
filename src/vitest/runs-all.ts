import type { TestModule, Vitest } from 'vitest/node'

/** Whether a run included all tests of all projects: no filter on the command line, and no skipped test. */
export function runsAll(vitest: Vitest, modules: readonly TestModule[]): boolean {
  const { watch, testNamePattern, shard, changed, related, project, cliExclude } = vitest.config
  const { filenamePattern } = vitest as { filenamePattern?: readonly string[] }
  const chosen = [watch, testNamePattern, shard, changed, related?.length, project.length]
  return (
    ![...chosen, filenamePattern?.length, cliExclude?.length].some(Boolean) &&
    modules.every(({ children }) => [...children.allTests('skipped')].length === 0)
  )
}
