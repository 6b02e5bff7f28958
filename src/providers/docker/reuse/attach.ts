import type { ServiceDefinition } from '../../../services/service.ts'
import type { StartContext, StartedService } from '../../provider.ts'
import { AttachedService } from './attached-service.ts'
import { type ContainerDetails, EngineApi, type ImageDetails } from '../engine/engine-api.ts'
import {
  digestSpec,
  FOLDER_LABEL,
  IMAGE_LABEL,
  KEEP_LABEL,
  type ReusePlace,
  SPEC_LABEL,
  wantedPorts,
} from './reuse-labels.ts'
import { Lifeline } from '../container/lifeline.ts'
import { removeContainer } from '../container/remove-container.ts'

export interface AttachOptions extends ReusePlace, StartContext {
  readonly runId: string
  /** How long the server is to stay after this run, if this run has a say in it. */
  readonly keepAliveMs: number | undefined
}

/**
 * Takes over a server that an earlier run has left up, if there is one that is in every respect what is asked for, and
 * that no other run has. One that is not well is removed.
 */
export async function attachService(
  definition: ServiceDefinition,
  options: AttachOptions,
): Promise<StartedService | undefined> {
  const { engine, signal } = options
  const api = new EngineApi(engine)
  const spec = digestSpec(definition, options)
  const answers = await Promise.all([
    api.listContainers({ [SPEC_LABEL]: spec }, signal),
    api.findImage(definition.service.image, signal),
    // If the engine fails, starting a container reports it.
  ]).catch(() => undefined)
  signal.throwIfAborted()
  const [containers = [], image] = answers ?? []
  for (const { Id, Labels, State } of containers) {
    // What was made from an image that has its name no longer is something else; so is what never ran.
    if (image && Labels[IMAGE_LABEL] === image.Id && (State === 'running' || State === 'paused')) {
      // A container that does not answer is left alone.
      const attached = await attachTo(api, Id, { ...options, definition, image }).catch(() => undefined)
      if (attached) {
        return attached
      }
      signal.throwIfAborted()
    }
  }
  return undefined
}

interface AttachToOptions extends AttachOptions {
  readonly definition: ServiceDefinition
  readonly image: ImageDetails
}

async function attachTo(
  api: EngineApi,
  id: string,
  { definition, image, engine, runId, keepAliveMs = 0, report, signal, onWaiting }: AttachToOptions,
): Promise<StartedService | undefined> {
  const details = await api.inspectContainer(id, signal)
  if (!details?.State.Running || !publishes(details, wantedPorts(definition))) {
    return undefined
  }
  if (details.State.Paused) {
    // Or it did not answer whether another run has it.
    await api.unpause(id, signal)
  }
  const { Labels } = details.Config
  const graceMs = Math.max(keepAliveMs, Number(Labels[KEEP_LABEL]))
  const folder = Labels[FOLDER_LABEL] ?? '/'
  const welcome = await Lifeline.visit({ api, id, hold: { run: runId, graceMs } }, { folder, onWaiting })
  if (!welcome) {
    return undefined
  }
  const reason = findFault(details)
  if (reason !== undefined) {
    welcome.lifeline.end()
    await removeContainer(engine, id)
    report({ type: 'service-replaced', service: definition.service.name, reason })
    return undefined
  }
  const entrypoint = [image.Config?.Entrypoint ?? []].flat()
  return new AttachedService({
    ...welcome,
    api,
    details,
    engine,
    definition,
    folder,
    entrypoint,
    idleTimeoutMs: graceMs,
  })
}

function findFault({ State: { Paused, Health } }: ContainerDetails): string | undefined {
  return Paused ? 'it was paused' : Health?.Status === 'unhealthy' ? 'its healthcheck fails' : undefined
}

function publishes({ NetworkSettings: { Ports } }: ContainerDetails, wanted: readonly string[]): boolean {
  return wanted.every((port) => Ports[port]?.[0] !== undefined)
}
