import { digest } from '../../../internal/digest.ts'
import { LABEL } from '../../../internal/names.ts'
import { packageVersion } from '../../../package-version.ts'
import { type Address, type ServiceDefinition, instancePortsOf } from '../../../services/service.ts'
import type { ContainerDetails } from '../engine/engine-api.ts'
import type { Engine } from '../engine/find-engine.ts'

export interface ReusePlace {
  readonly engine: Engine
  /** The project's folder. */
  readonly root: string
}

export interface ReusableContainer extends ReusePlace {
  readonly keepAliveMs: number | undefined
  /** The id of the service's image. */
  readonly image: string
  readonly host: string
  readonly folder: string
}

/** Returns the label of all containers that runs of a project have left running. */
export function labelOfRoot(root: string): Readonly<Record<string, string>> {
  return { [LABEL.root]: digest(root) }
}

/** Returns the labels of a container that may outlive its run; undefined if it stops with its run. */
export function reuseLabels(
  definition: ServiceDefinition,
  container: ReusableContainer,
): Readonly<Record<string, string>> | undefined {
  const { keepAliveMs, image, host, folder, root } = container
  if (keepAliveMs === undefined) {
    return undefined
  }
  return {
    [LABEL.spec]: digestSpec(definition, container),
    [LABEL.image]: image,
    [LABEL.idleTimeout]: String(keepAliveMs),
    [LABEL.host]: host,
    [LABEL.dataFolder]: folder,
    ...labelOfRoot(root),
  }
}

/**
 * Returns a digest that is equal for two runs only if each can use the server of the other. It excludes the number of
 * instances, because a run can also use a server with more of them. It excludes templates, because they have
 * fingerprints of their own.
 */
export function digestSpec(definition: ServiceDefinition, { engine, root }: ReusePlace): string {
  const { service, hostPort, environment, command, instances, sharedMemoryBytes } = definition
  const { state: _state, ...rest } = service
  return digest(
    JSON.stringify([
      packageVersion(),
      engine.host,
      root,
      rest,
      hostPort,
      environment,
      command,
      instances && { ...instances, count: undefined, command: instances.command('port', 'folder') },
      sharedMemoryBytes,
    ]),
  )
}

/** Returns the ports that a service's container must publish. */
export function wantedPorts(definition: ServiceDefinition): readonly string[] {
  return [definition.service.defaultPort, ...instancePortsOf(definition)].map((port) => `${port}/tcp`)
}

/** Returns the address of a published port of a container that has outlived its run. */
export function addressIn({ Config, NetworkSettings }: ContainerDetails, port: number): Address {
  const [binding] = NetworkSettings.Ports[`${port}/tcp`] ?? []
  return { host: Config.Labels[LABEL.host] ?? 'localhost', port: Number(binding?.HostPort) }
}
