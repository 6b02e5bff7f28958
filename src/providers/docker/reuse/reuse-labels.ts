import { digest } from '../../../internal/digest.ts'
import { packageVersion } from '../../../package-version.ts'
import { type Address, type ServiceDefinition, instancePortsOf } from '../../../services/service.ts'
import type { ContainerDetails } from '../engine/engine-api.ts'
import type { Engine } from '../engine/find-engine.ts'

/** The name of the service, on every container of ours. */
export const SERVICE_LABEL = 'vitest-infra.service'
/** The id of the run that created it, on every container of ours. */
export const RUN_LABEL = 'vitest-infra.run'
/** A digest of the service's definition, only on containers that outlive their run. */
export const SPEC_LABEL = 'vitest-infra.kept.spec'
/** The service's image. The container may be made from a snapshot of it. */
export const IMAGE_LABEL = 'vitest-infra.kept.image'
/** Idle timeout, in milliseconds. */
export const KEEP_LABEL = 'vitest-infra.kept.for'
/** The host of its published ports. */
const HOST_LABEL = 'vitest-infra.kept.host'
/** The data folder. */
export const FOLDER_LABEL = 'vitest-infra.kept.folder'
/** A digest of the project's folder. */
const ROOT_LABEL = 'vitest-infra.kept.root'

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

/** The label of all containers that runs of a project left up. */
export function labelOfRoot(root: string): Readonly<Record<string, string>> {
  return { [ROOT_LABEL]: digest(root) }
}

/** The labels of a container that may outlive its run; undefined if it stops with its run. */
export function reuseLabels(
  definition: ServiceDefinition,
  container: ReusableContainer,
): Readonly<Record<string, string>> | undefined {
  const { keepAliveMs, image, host, folder, root } = container
  if (keepAliveMs === undefined) {
    return undefined
  }
  return {
    [SPEC_LABEL]: digestSpec(definition, container),
    [IMAGE_LABEL]: image,
    [KEEP_LABEL]: String(keepAliveMs),
    [HOST_LABEL]: host,
    [FOLDER_LABEL]: folder,
    ...labelOfRoot(root),
  }
}

/**
 * A digest that is equal for two runs only if each can use the server of the other. It leaves out the number of instances,
 * because a server with more of them will do, and templates, which have fingerprints of their own.
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

/** The ports that a service's container must publish. */
export function wantedPorts(definition: ServiceDefinition): readonly string[] {
  return [definition.service.defaultPort, ...instancePortsOf(definition)].map((port) => `${port}/tcp`)
}

/** The address of a published port of a container that outlived its run. */
export function addressIn({ Config, NetworkSettings }: ContainerDetails, port: number): Address {
  const [binding] = NetworkSettings.Ports[`${port}/tcp`] ?? []
  return { host: Config.Labels[HOST_LABEL] ?? 'localhost', port: Number(binding?.HostPort) }
}
