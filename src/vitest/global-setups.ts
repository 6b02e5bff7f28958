import type { TestProject } from 'vitest/node'

/**
 * Whether Vitest has set up the project. It sets up a project when a run first includes one of its test files, and
 * always sets up the root project, as the last one.
 */
export function wasSetUp(project: TestProject): boolean {
  return setupsOf(project) !== undefined
}

/**
 * Makes Vitest set up the project again before its next run. By default, Vitest sets up a project only once, even after
 * a failure. A call from a global setup also skips the global setups after it.
 */
export function repeatGlobalSetups(project: TestProject): void {
  setupsOf(project)?.splice(0)
  Reflect.deleteProperty(project, '_globalSetups')
}

/** Returns the loaded modules of a project's `globalSetup`; undefined before its first run. */
function setupsOf(project: TestProject): unknown[] | undefined {
  return Reflect.get(project, '_globalSetups') as unknown[] | undefined
}
