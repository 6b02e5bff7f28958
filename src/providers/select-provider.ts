import { arch } from 'node:os'
import type { ResolvedSpec } from '../config/resolve-spec.ts'
import { createDockerProvider } from './docker/docker-provider.ts'
import { searchHere } from './docker/engine/engine-places.ts'
import { type Engine, findEngine, searchEngine } from './docker/engine/find-engine.ts'
import type { Missing } from './embedded/missing.ts'
import { embeddedUnavailable, noProvider } from './no-provider.ts'
import type { Provider } from './provider.ts'

export interface ProviderContext {
  /** The environment of this process, which Testcontainers reads, too. */
  readonly environment: Record<string, string | undefined>
  readonly runId: string
}

/**
 * Resolves to the provider that a spec requests. `'auto'` means Docker if an engine answers, otherwise local processes
 * if they can run. External servers are used only on request.
 *
 * If the user has chosen an engine (`DOCKER_HOST`, a context) and it does not answer, that is an error, and no other
 * provider is tried.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE` if the engine does not answer, `INFRA_NO_PROVIDER` if no provider can
 * be used. Both list what was tried and why it failed.
 */
export async function selectProvider(spec: ResolvedSpec, context: ProviderContext): Promise<Provider> {
  switch (spec.provider) {
    case 'docker':
      return dockerOn(await findEngine(searchHere(context.environment)), spec, context)
    case 'embedded':
      return selectEmbedded(spec, context)
    case 'external':
      return selectExternal(spec)
    case 'auto':
      return selectAny(spec, context)
    default:
      return spec.provider satisfies never
  }
}

async function selectAny(spec: ResolvedSpec, context: ProviderContext): Promise<Provider> {
  const engine = await searchEngine(searchHere(context.environment))
  if ('host' in engine) {
    return dockerOn(engine, spec, context)
  }
  const found = await findEmbedded(spec, context, 'no container engine answered')
  if ('name' in found) {
    return found
  }
  throw noProvider(engine, found)
}

async function selectEmbedded(spec: ResolvedSpec, context: ProviderContext): Promise<Provider> {
  const found = await findEmbedded(spec, context, 'as asked for')
  if ('name' in found) {
    return found
  }
  throw embeddedUnavailable(found)
}

async function selectExternal(spec: ResolvedSpec): Promise<Provider> {
  const { createExternalProvider } = await import('./external.ts')
  return createExternalProvider(spec)
}

/**
 * Resolves to the provider for local processes, or to what is missing. Its modules are loaded on demand, because most
 * runs use containers.
 */
async function findEmbedded(
  spec: ResolvedSpec,
  context: ProviderContext,
  reason: string,
): Promise<Provider | readonly Missing[]> {
  const { findEmbeddedHome } = await import('./embedded/embedded-home.ts')
  const { createEmbeddedProvider } = await import('./embedded/embedded-provider.ts')
  const home = await findEmbeddedHome(spec, machine(context))
  return 'place' in home ? createEmbeddedProvider(home, reason) : home
}

function dockerOn(
  engine: Engine,
  { root, keepAliveMs, startupTimeoutMs }: ResolvedSpec,
  context: ProviderContext,
): Provider {
  return createDockerProvider({ engine, root, keepAliveMs, startupTimeoutMs, ...context })
}

function machine({ environment }: ProviderContext) {
  return { environment, platform: process.platform, architecture: arch() }
}
