import type { TestProject } from 'vitest/node'
import { defaultWorkers } from './worker-count.ts'

/** Whether a worker keeps the user's modules, and thus their connections, between test files. */
export function keepsModules({ config, vitest }: TestProject): boolean {
  if (config.isolate) {
    return false
  }
  // vm pools also report `isolate: false`, but they reload modules for each file. The exception is Vitest 4 with a
  // single worker, which runs all files in one context.
  return !config.pool.startsWith('vm') || (vitest.version.startsWith('4.') && workersOf({ config, vitest }) === 1)
}

function workersOf({ config, vitest }: Pick<TestProject, 'config' | 'vitest'>): number {
  return config.maxWorkers || vitest.config.maxWorkers || defaultWorkers(vitest.config.watch)
}
