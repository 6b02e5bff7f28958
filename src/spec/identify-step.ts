import { identityOf } from '../internal/function-identity.ts'
import type { SeedStep } from './infra-options.ts'

/** What tells a step from every other one, but for the content of its files: its key, or else the function itself. */
export function identifyStep({ name, key, run }: Omit<SeedStep, 'files'>): string {
  return JSON.stringify(key === undefined ? [name, identityOf(run)] : [name, key, String(run)])
}
