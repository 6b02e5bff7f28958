import { identityOf } from '../internal/function-identity.ts'
import type { SeedStep } from './infra-options.ts'

/** The identity of a step, without the content of its files: its key, or else the function itself. */
export function identifyStep({ name, key, run }: Omit<SeedStep, 'files'>): string {
  return JSON.stringify(key === undefined ? [name, identityOf(run)] : [name, key, String(run)])
}
