import { randomBytes } from 'node:crypto'

interface Identities {
  readonly byFunction: WeakMap<object, string>
}

const KEY = Symbol.for('vitest-infra/function-identities')

/**
 * Returns an identity for a function, valid in this process only. The text of a function is not enough, as values from
 * its closure may differ. The state is on `globalThis`, as a linked package is loaded twice in one process.
 */
export function identityOf(given: (...args: never[]) => unknown): string {
  const holder = globalThis as { [KEY]?: Identities }
  const { byFunction } = (holder[KEY] ??= { byFunction: new WeakMap() })
  const identity = byFunction.get(given) ?? randomBytes(16).toString('hex')
  byFunction.set(given, identity)
  return identity
}
