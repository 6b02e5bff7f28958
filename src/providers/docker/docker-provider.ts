import { basename } from 'node:path'
import type { ContainerRuntimeClient } from 'testcontainers'
import { InfraError, messageOf } from '../../errors.ts'
import { assertPortFree } from '../port-holder.ts'
import type { ServiceDefinition } from '../../services/service.ts'
import type { Provider, StartContext, StartedService } from '../provider.ts'
import { DockerService, removeContainer } from './docker-service.ts'
import { connectTestcontainers } from './connect-testcontainers.ts'
import { findEngineHost } from './engine-host.ts'
import type { Engine } from './find-engine.ts'
import { ensureImage } from './pull-image.ts'

export interface DockerProviderOptions {
  readonly engine: Engine
  /** The environment that Testcontainers reads. */
  readonly environment: Record<string, string | undefined>
  /** Names this run on its containers. */
  readonly runId: string
  /** The project's folder, named on its containers. */
  readonly root: string
}

/** Obtains services as containers, through Testcontainers, which is loaded with the first service. */
export function createDockerProvider(options: DockerProviderOptions): Provider {
  const { engine, environment } = options
  let client: Promise<ContainerRuntimeClient> | undefined
  return {
    name: 'docker',
    description: `Docker Engine ${engine.version} at ${engine.host} (${engine.source})`,
    async start(definition, context) {
      client ??= connectTestcontainers(engine, environment).catch((error: unknown) => {
        client = undefined
        throw error
      })
      return startContainer(definition, { ...options, ...context, client: await client })
    },
  }
}

interface ContainerContext extends StartContext, DockerProviderOptions {
  readonly client: ContainerRuntimeClient
}

async function startContainer(definition: ServiceDefinition, context: ContainerContext): Promise<StartedService> {
  const { client, report, signal } = context
  const { service, hostPort } = definition
  const { host, bindAddress } = await findEngineHost(client)
  if (hostPort !== undefined && host === 'localhost') {
    await assertPortFree({
      host: bindAddress,
      port: hostPort,
      service: service.name,
      variable: service.envPortVar,
      containersPublishing: (port) => containersPublishing(client, port),
    })
  }
  const image = await ensureImage({ client, image: service.image, report, signal })
  const [{ describeContainer }, memoryFolders] = await Promise.all([
    import('./containers.ts'),
    declaredVolumes(client, image),
  ])
  signal.throwIfAborted()
  const name = `vitest-infra-${context.runId}-${service.name}`
  const container = describeContainer(definition, {
    name,
    labels: labelsOf(definition, context),
    bindAddress,
    memoryFolders,
  })
  const started = await container.start().catch(async (error: unknown) => {
    // Testcontainers leaves a container that was created but could not be started.
    await removeContainer(client.container.dockerode.getContainer(name)).catch(() => {})
    throw new InfraError('INFRA_SERVICE_START', {
      problem: `Cannot start service "${service.name}": the engine refused its container: ${messageOf(error)}`,
      remedy: `Correct what it names; the options of ${service.name} lead to its container`,
      service: service.name,
      provider: 'docker',
      cause: error,
    })
  })
  const [memoryFolder = '/tmp'] = memoryFolders
  return new DockerService({ started, host, dockerode: client.container.dockerode, definition, memoryFolder })
}

function labelsOf({ service }: ServiceDefinition, { runId, root }: ContainerContext): Record<string, string> {
  return {
    'vitest-infra.service': service.name,
    'vitest-infra.run': runId,
    'vitest-infra.project': basename(root),
    'vitest-infra.owner': String(process.pid),
  }
}

/**
 * The folders that an image declares as volumes: where its server keeps its data. Mounting memory there is faster,
 * and leaves no anonymous volume behind.
 */
async function declaredVolumes(client: ContainerRuntimeClient, image: string): Promise<string[]> {
  const { Config } = await client.container.dockerode.getImage(image).inspect()
  return Object.keys(Config.Volumes ?? {})
}

async function containersPublishing(client: ContainerRuntimeClient, port: number): Promise<string[]> {
  const containers = await client.container.list()
  return containers
    .filter(({ Ports }) => Ports.some(({ PublicPort }) => PublicPort === port))
    .map(({ Names, Id }) => Names[0]?.replace(/^\//, '') ?? Id)
}
