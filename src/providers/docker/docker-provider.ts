import type { ContainerRuntimeClient } from 'testcontainers'
import { InfraError, messageOf } from '../../errors.ts'
import { withTimeLimit } from '../../internal/time-limit.ts'
import type { ServiceDefinition } from '../../services/service.ts'
import type { Provider } from '../provider.ts'
import { attachService } from './reuse/attach.ts'
import { EngineApi } from './engine/engine-api.ts'
import type { Engine } from './engine/find-engine.ts'
import type { DockerProviderOptions } from './container/start-container.ts'
import { StartGuard } from './container/start-guard.ts'

function engineFailed({ service }: ServiceDefinition, error: unknown, { product, host }: Engine): InfraError {
  return new InfraError('INFRA_SERVICE_START', {
    problem: `Cannot start service "${service.name}": ${product} at ${host} did not do what it was asked for: ${messageOf(error)}`,
    remedy:
      'Look at the engine with: docker info; if it is only slow, raise startupTimeoutMs or VITEST_INFRA_STARTUP_TIMEOUT_MS',
    service: service.name,
    provider: 'docker',
    cause: error,
  })
}

/**
 * Creates the provider that runs services in containers. It reuses running containers of an earlier run, or creates new
 * ones with Testcontainers.
 */
export function createDockerProvider(options: DockerProviderOptions): Provider {
  const { engine, environment, startupTimeoutMs } = options
  const api = new EngineApi(engine)
  const guard = new StartGuard(options)
  let client: Promise<ContainerRuntimeClient> | undefined
  // Imported only for a new container, because the import takes longer than attaching to a running one.
  const connect = async () => {
    const { connectTestcontainers } = await import('./engine/connect-testcontainers.ts')
    return connectTestcontainers(engine, environment)
  }
  return {
    name: 'docker',
    description: `${engine.product} at ${engine.host} (${engine.source})`,
    async start(definition, context) {
      try {
        const attached = await attachService(definition, { ...options, ...context, api })
        if (attached) {
          return attached
        }
        client ??= withTimeLimit(startupTimeoutMs, connect).catch((error: unknown) => {
          client = undefined
          throw error
        })
        const [{ startContainer }, connected] = await Promise.all([import('./container/start-container.ts'), client])
        return await startContainer(definition, { ...options, ...context, api, guard, client: connected })
      } catch (error) {
        context.signal.throwIfAborted()
        throw error instanceof InfraError ? error : engineFailed(definition, error, engine)
      }
    },
    async sweep(signal) {
      // A run that only attached to running containers does not sweep, to save time.
      if (await client) {
        const { sweep } = await import('./container/sweep.ts')
        await sweep(api, signal)
      }
    },
  }
}
