import type { TestProject, Vitest } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import type { InfraRun } from './infra-run.ts'

/** By which the global setup finds the plugin at the root of a run. */
export const PLUGIN_NAME = 'vitest-infra'

/** What the plugin and the global setup know together. */
interface Registry {
  /** What was said to `infra()`, by project. */
  readonly options: WeakMap<TestProject, InfraOptions>
  /** Options by their place in a file that Vitest reads more than once, for each Vite server. */
  readonly written: WeakMap<object, Map<string, InfraOptions>>
  /** The one run of each Vitest, however many of its projects ask for it. */
  readonly runs: WeakMap<Vitest, InfraRun>
  /** The projects that have services. */
  readonly served: WeakSet<TestProject>
}

const KEY = Symbol.for('vitest-infra/registry')

/** Kept on `globalThis`, because a package that is linked or imported by path is loaded twice in one process. */
export function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry }
  return (holder[KEY] ??= {
    options: new WeakMap(),
    written: new WeakMap(),
    runs: new WeakMap(),
    served: new WeakSet(),
  })
}
