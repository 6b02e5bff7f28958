import { homedir, userInfo } from 'node:os'
import type { ResolvedSpec } from '../spec/resolve-spec.ts'
import { createDockerProvider } from './docker/docker-provider.ts'
import { findEngine } from './docker/find-engine.ts'
import type { Provider } from './provider.ts'

export interface ProviderContext {
  /** The process's environment; Testcontainers reads it too. */
  readonly environment: Record<string, string | undefined>
  readonly runId: string
}

/**
 * The provider that a spec asks for.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function selectProvider(spec: ResolvedSpec, context: ProviderContext): Promise<Provider> {
  const engine = await findEngine({
    environment: context.environment,
    platform: process.platform,
    homeDirectory: homedir(),
    userId: userInfo().uid,
  })
  return createDockerProvider({ engine, root: spec.root, ...context })
}
