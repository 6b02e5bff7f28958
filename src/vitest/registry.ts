import type { TestProject, Vitest } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import type { InfraRun } from './infra-run.ts'

/** Name by which the global setup finds the plugin of the root project. */
export const PLUGIN_NAME = 'vitest-infra'

/** State that the plugin and the global setup share. */
interface Registry {
  /** The options of `infra()` by project. */
  readonly options: WeakMap<TestProject, InfraOptions>
  /** Options by their location in a config file, for each Vite server, as Vitest reads the file more than once. */
  readonly written: WeakMap<object, Map<string, InfraOptions>>
  /** The run of each Vitest instance, which all its projects share. */
  readonly runs: WeakMap<Vitest, InfraRun>
  /** The projects that use the stack. */
  readonly served: WeakSet<TestProject>
}

const KEY = Symbol.for('vitest-infra/registry')

/** The registry is on `globalThis`, as a linked package is loaded twice in one process. */
export function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry }
  return (holder[KEY] ??= {
    options: new WeakMap(),
    written: new WeakMap(),
    runs: new WeakMap(),
    served: new WeakSet(),
  })
}
