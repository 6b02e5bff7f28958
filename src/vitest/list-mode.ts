import type { StackFacts } from '../environment/infra-facts.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import { describeStack } from '../stack/stack-facts.ts'

/** An address on which nothing can listen. */
const NO_ADDRESS = { host: 'localhost', port: 0 }

/**
 * Whether Vitest was called as `vitest list`. This command runs no tests and needs no server. However, Vitest 4 runs
 * global setups and imports test files for it.
 */
export async function isListMode(argv: readonly string[]): Promise<boolean> {
  const args = argv.slice(2)
  if (!args.includes('list')) {
    return false
  }
  const { parseCLI } = await import('vitest/node')
  // Only Vitest's parser knows which options take a value. After a leading "list", the command that the user passed is
  // parsed as the first filter.
  return parseCLI(['vitest', 'list', ...args]).filter[0] === 'list'
}

/** Returns the facts of a stack that was not started, for test files that read them while they are imported. */
export function describeUnstartedStack(spec: ResolvedSpec): StackFacts {
  const services = servicesOf(spec).map(({ service: { name, state } }) => ({
    name,
    state,
    address: NO_ADDRESS,
    version: '',
  }))
  return describeStack(spec, spec.provider === 'auto' ? 'docker' : spec.provider, services)
}
