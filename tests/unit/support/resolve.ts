import type { EnvironmentLayers } from '../../../src/environment/environment-layers.ts'
import { type ResolvedSpec, resolveSpec } from '../../../src/config/resolve-spec.ts'

/** Calls `resolveSpec()` for a project in `/project`, with only the test's options and environment. */
export function resolve(options: unknown = {}, environment: Partial<EnvironmentLayers> = {}): ResolvedSpec {
  return resolveSpec(options, { root: '/project', source: 'infra()', environment: { process: {}, ...environment } })
}
