import { identityOf } from '../internal/function-identity.ts'
import type { SeedStep } from './infra-options.ts'

/**
 * Returns an identifier of a step, independent of the content of its files. With a key, it consists of name, key and
 * source text; otherwise of name and function object.
 */
export function identifyStep({ name, key, run }: Omit<SeedStep, 'files'>): string {
  return JSON.stringify(key === undefined ? [name, identityOf(run)] : [name, key, String(run)])
}
