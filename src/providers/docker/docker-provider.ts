import type { ContainerRuntimeClient } from 'testcontainers'
import type { Provider } from '../provider.ts'
import { attachService } from './attach.ts'
import type { DockerProviderOptions } from './start-container.ts'
import { StartGuard } from './start-guard.ts'

/** Obtains services as containers: those that an earlier run has left up, else new ones through Testcontainers. */
export function createDockerProvider(options: DockerProviderOptions): Provider {
  const { engine, environment } = options
  const guard = new StartGuard(options)
  let client: Promise<ContainerRuntimeClient> | undefined
  // Loaded with the first container that has to be started.
  const connect = async () => {
    const { connectTestcontainers } = await import('./connect-testcontainers.ts')
    return connectTestcontainers(engine, environment)
  }
  return {
    name: 'docker',
    description: `${engine.product} at ${engine.host} (${engine.source})`,
    async start(definition, context) {
      const attached = await attachService(definition, { ...options, ...context })
      if (attached) {
        return attached
      }
      client ??= connect().catch((error: unknown) => {
        client = undefined
        throw error
      })
      const [{ startContainer }, connected] = await Promise.all([import('./start-container.ts'), client])
      return startContainer(definition, { ...options, ...context, guard, client: connected })
    },
    async sweep() {
      const { container } = (await client) ?? {}
      if (container) {
        const { sweep } = await import('./sweep.ts')
        await sweep(container.dockerode, engine)
      }
    },
  }
}
