import type { TestProject, Vitest } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import type { InfraRun } from './infra-run.ts'

/** The name by which the global setup finds the plugin in a configuration. */
export const PLUGIN_NAME = 'vitest-infra'

/** State that all copies of the global setup in a process share. */
interface Registry {
  /** For each Vite server, the options by location in a config file that Vitest reads more than once. */
  readonly written: WeakMap<object, Map<string, InfraOptions>>
  /** The run of each Vitest instance, shared by all its projects. */
  readonly runs: WeakMap<Vitest, InfraRun>
  /** The projects that use the stack. */
  readonly served: WeakSet<TestProject>
}

const KEY = Symbol.for('vitest-infra/registry')

/** Returns the registry. It is on `globalThis`, as a linked package is loaded twice in one process. */
export function registry(): Registry {
  const holder = globalThis as { [KEY]?: Registry }
  return (holder[KEY] ??= {
    written: new WeakMap(),
    runs: new WeakMap(),
    served: new WeakSet(),
  })
}
