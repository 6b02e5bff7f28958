import type { TestProject } from 'vitest/node'
import { defaultWorkers } from './worker-count.ts'

/** Whether a worker keeps the user's modules, and with them their connections, from one test file to the next. */
export function keepsModules({ config, vitest }: TestProject): boolean {
  if (config.isolate) {
    return false
  }
  // vm pools say `isolate: false` too, but renew the modules with each file; only that Vitest 4 gives all files to a
  // worker that is the only one in one go, and in one context.
  return !config.pool.startsWith('vm') || (vitest.version.startsWith('4.') && workersOf({ config, vitest }) === 1)
}

function workersOf({ config, vitest }: Pick<TestProject, 'config' | 'vitest'>): number {
  return config.maxWorkers || vitest.config.maxWorkers || defaultWorkers(vitest.config.watch)
}
