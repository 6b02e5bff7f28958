import { randomBytes } from 'node:crypto'

interface Identities {
  readonly byFunction: WeakMap<object, string>
}

const KEY = Symbol.for('vitest-infra/function-identities')

/**
 * Returns an id for a function, which is valid only in this process. The function's source text does not identify it,
 * because values from its closure may differ.
 *
 * The ids are stored on `globalThis`, because a linked package is loaded twice in one process.
 */
export function identityOf(given: (...args: never[]) => unknown): string {
  const holder = globalThis as { [KEY]?: Identities }
  const { byFunction } = (holder[KEY] ??= { byFunction: new WeakMap() })
  const identity = byFunction.get(given) ?? randomBytes(16).toString('hex')
  byFunction.set(given, identity)
  return identity
}
