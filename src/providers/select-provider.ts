import { arch } from 'node:os'
import type { ResolvedSpec } from '../config/resolve-spec.ts'
import { createDockerProvider } from './docker/docker-provider.ts'
import { searchHere } from './docker/engine/engine-places.ts'
import { type Engine, findEngine, searchEngine } from './docker/engine/find-engine.ts'
import type { Missing } from './embedded/missing.ts'
import { embeddedUnavailable, noProvider } from './no-provider.ts'
import type { Provider } from './provider.ts'

export interface ProviderContext {
  /** The process's environment; Testcontainers reads it too. */
  readonly environment: Record<string, string | undefined>
  readonly runId: string
}

/**
 * The provider that a spec asks for. `'auto'` means Docker where an engine answers, else local processes where they can
 * run; servers that are there already are used only where they are asked for. An engine that was named
 * (`DOCKER_HOST`, a context) and does not answer is an error, and never a reason to run on something else.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE` for an engine that does not answer, `INFRA_NO_PROVIDER` where nothing can
 * serve; both name all that was tried and why it failed
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

/** Loaded here alone: most runs are on containers. */
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

function dockerOn(engine: Engine, { root, keepAliveMs }: ResolvedSpec, context: ProviderContext): Provider {
  return createDockerProvider({ engine, root, keepAliveMs, ...context })
}

function machine({ environment }: ProviderContext) {
  return { environment, platform: process.platform, architecture: arch() }
}
