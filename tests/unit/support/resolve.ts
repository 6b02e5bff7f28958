import type { EnvironmentLayers } from '../../../src/environment/environment-layers.ts'
import { type ResolvedSpec, resolveSpec } from '../../../src/config/resolve-spec.ts'

/** `resolveSpec()` for a project in `/project`, in which nothing is set but what the test says. */
export function resolve(options: unknown = {}, environment: Partial<EnvironmentLayers> = {}): ResolvedSpec {
  return resolveSpec(options, { root: '/project', source: 'infra()', environment: { process: {}, ...environment } })
}
