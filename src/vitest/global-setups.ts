import type { TestProject } from 'vitest/node'

/** Whether a test file of the project has been part of a run. Vitest sets up the root project last, and always. */
export function wasSetUp(project: TestProject): boolean {
  return setupsOf(project) !== undefined
}

/**
 * Has Vitest set up the project again before its next run, which it otherwise does once, even if that failed. Called from
 * a global setup, it also keeps those after it from running now.
 */
export function repeatGlobalSetups(project: TestProject): void {
  setupsOf(project)?.splice(0)
  Reflect.deleteProperty(project, '_globalSetups')
}

/** What Vitest has loaded of a project's `globalSetup`; nothing before its first run. */
function setupsOf(project: TestProject): unknown[] | undefined {
  return Reflect.get(project, '_globalSetups') as unknown[] | undefined
}
