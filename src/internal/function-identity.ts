import { randomBytes } from 'node:crypto'

interface Identities {
  readonly byFunction: WeakMap<object, string>
}

const KEY = Symbol.for('vitest-infra/function-identities')

/**
 * Tells functions apart, in this process only: what a function closes over cannot be seen from outside, so two functions
 * of the same text may do different things. Kept on `globalThis`, because a package that is linked or imported by path is
 * loaded twice in one process.
 */
export function identityOf(given: (...args: never[]) => unknown): string {
  const holder = globalThis as { [KEY]?: Identities }
  const { byFunction } = (holder[KEY] ??= { byFunction: new WeakMap() })
  const identity = byFunction.get(given) ?? randomBytes(16).toString('hex')
  byFunction.set(given, identity)
  return identity
}
