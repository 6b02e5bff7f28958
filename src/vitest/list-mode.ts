import type { StackFacts } from '../environment/infra-facts.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import { describeStack } from '../stack/stack-facts.ts'

/** Nothing listens there, whatever else runs on this machine. */
const NOWHERE = { host: 'localhost', port: 0 }

/**
 * Whether this is `vitest list`, which runs no test and so needs no server, but which on Vitest 4 runs global setups and
 * imports test files all the same.
 */
export function isListMode(argv: readonly string[]): boolean {
  return argv[2] === 'list'
}

/** The facts of a stack that was not started, for test files that read them as they are imported. */
export function describeUnstartedStack(spec: ResolvedSpec): StackFacts {
  const services = servicesOf(spec).map(({ service: { name, state } }) => ({
    name,
    state,
    address: NOWHERE,
    version: '',
    container: undefined,
  }))
  return describeStack(spec, spec.provider === 'auto' ? 'docker' : spec.provider, services)
}
