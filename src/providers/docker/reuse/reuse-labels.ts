import { digest } from '../../../internal/digest.ts'
import { packageVersion } from '../../../package-version.ts'
import { type ServiceDefinition, instancePortsOf } from '../../../services/service.ts'
import type { Engine } from '../engine/find-engine.ts'

/** Of every container of ours: the name of its service. */
export const SERVICE_LABEL = 'vitest-infra.service'
/** Of every container of ours: the id of the run that created it. */
export const RUN_LABEL = 'vitest-infra.run'
/** Of containers that outlive their run: what they are, condensed. None other has it. */
export const SPEC_LABEL = 'vitest-infra.kept.spec'
/** The image that the service was asked to be; the container's own may be a snapshot of it. */
export const IMAGE_LABEL = 'vitest-infra.kept.image'
/** Idle timeout, in milliseconds. */
export const KEEP_LABEL = 'vitest-infra.kept.for'
/** Where their ports are reached. */
export const HOST_LABEL = 'vitest-infra.kept.host'
/** The folder of data. */
export const FOLDER_LABEL = 'vitest-infra.kept.folder'
/** The project's folder, condensed. */
const ROOT_LABEL = 'vitest-infra.kept.root'

export interface ReusePlace {
  readonly engine: Engine
  /** The project's folder. */
  readonly root: string
}

export interface ReusableContainer extends ReusePlace {
  readonly keepAliveMs: number | undefined
  /** Id of the image that the service was asked to be. */
  readonly image: string
  readonly host: string
  readonly folder: string
}

/** By which the containers that runs of a project have left up are found. */
export function labelOfRoot(root: string): Readonly<Record<string, string>> {
  return { [ROOT_LABEL]: digest(root) }
}

/** The labels of a container that outlives its run, if it does. */
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
 * All that a server is: equal for two runs only if either can do with the server of the other. How many instances there
 * are is left out, since a server with more is as good; so are templates, which have fingerprints of their own.
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

/** The ports that a container must publish to serve. */
export function wantedPorts(definition: ServiceDefinition): readonly string[] {
  return [definition.service.defaultPort, ...instancePortsOf(definition)].map((port) => `${port}/tcp`)
}
