import type { TestProject } from 'vitest/node'

/** Whether a test file of the project has been part of a run. Vitest sets up the root project last, and always. */
export function wasSetUp(project: TestProject): boolean {
  return setupsOf(project) !== undefined
}

/**
 * Makes Vitest set up the project again before its next run; otherwise it does so once, even after a failure. When
 * called from a global setup, it also skips the global setups after it.
 */
export function repeatGlobalSetups(project: TestProject): void {
  setupsOf(project)?.splice(0)
  Reflect.deleteProperty(project, '_globalSetups')
}

/** The loaded modules of a project's `globalSetup`; undefined before its first run. */
function setupsOf(project: TestProject): unknown[] | undefined {
  return Reflect.get(project, '_globalSetups') as unknown[] | undefined
}
