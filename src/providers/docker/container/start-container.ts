import { basename } from 'node:path'
import type { ContainerRuntimeClient } from 'testcontainers'
import { LABEL, nameContainer } from '../../../internal/names.ts'
import { InfraError, messageOf } from '../../../errors.ts'
import { withTimeLimit } from '../../../internal/time-limit.ts'
import { assertPortFree } from '../../port-holder.ts'
import type { ServiceDefinition, StartedService } from '../../../services/service.ts'
import type { StartContext } from '../../provider.ts'
import { DockerService } from './docker-service.ts'
import { type ContainerSource, type ImageFacts, openSnapshot } from '../snapshot/docker-snapshot.ts'
import { type EngineApi, plainName } from '../engine/engine-api.ts'
import { isGone } from '../engine/engine-errors.ts'
import { type EngineHost, findEngineHost } from '../engine/engine-host.ts'
import { evictReusable } from '../reuse/evict-reusable.ts'
import type { Engine } from '../engine/find-engine.ts'
import { reuseLabels } from '../reuse/reuse-labels.ts'
import { ensureImage } from '../image/pull-image.ts'
import { ownerLabels } from './owner.ts'
import type { StartGuard } from './start-guard.ts'
import { sweep } from './sweep.ts'
import { exitedService, type Tied, tie } from './tie.ts'

export interface DockerProviderOptions {
  readonly engine: Engine
  /** The environment that Testcontainers reads. */
  readonly environment: Record<string, string | undefined>
  /** Id of this run, which labels its containers. */
  readonly runId: string
  /** The project's folder, which labels its containers. */
  readonly root: string
  /** How long servers stay up unused, in milliseconds; undefined if they end with their run. */
  readonly keepAliveMs: number | undefined
  /** How long a container may take to start once its image is there, in milliseconds. */
  readonly startupTimeoutMs: number
}

export interface ContainerContext extends StartContext, DockerProviderOptions {
  readonly api: EngineApi
  /** Testcontainers' client. */
  readonly client: ContainerRuntimeClient
  readonly guard: StartGuard
}

/** Starts a container for a service. If the start fails, nothing of the container is left. */
export async function startContainer(
  definition: ServiceDefinition,
  context: ContainerContext,
): Promise<StartedService> {
  const { api, client, report, signal, startupTimeoutMs } = context
  const place = await findEngineHost(client)
  if (place.host === 'localhost') {
    await assertPinnedPortFree(definition, place.bindAddress, context)
  }
  // A pull has no timeout, because it reports its progress.
  const image = await ensureImage({ api, image: definition.service.image, report, signal })
  const starting = startFrom(image, definition, { ...context, ...place })
  return withTimeLimit(startupTimeoutMs, () => starting).catch((error: unknown) => {
    // The container may start after the timeout; then stop it. A failed start leaves nothing behind.
    void starting.then((started) => started.stop()).catch(() => {})
    throw error
  })
}

async function startFrom(
  imageName: string,
  definition: ServiceDefinition,
  context: ContainerContext & EngineHost,
): Promise<StartedService> {
  const { api, guard, report, signal, onWaiting, root, runId, keepAliveMs, host, bindAddress } = context
  const { service } = definition
  const image = await readImage(api, imageName)
  const [{ describeContainer }, labels] = await Promise.all([import('./containers.ts'), labelsOf(definition, context)])
  signal.throwIfAborted()
  const name = nameContainer(runId, service.name)
  const hold = { run: runId, graceMs: keepAliveMs }
  const [memoryFolder = '/tmp'] = image.volumes
  const forReuse = reuseLabels(definition, { ...context, image: image.id, host, folder: memoryFolder })
  const own = forReuse ? { ...(await labelsOf(definition, { ...context, isOutlived: true })), ...forReuse } : labels
  const created: { tied?: Tied } = {}
  const onCreated = async (id: string) => {
    created.tied?.exit.close()
    created.tied = await tie({ api, id, hold })
    // While the engine starts the container, this process can do other work.
    if (onWaiting) {
      setImmediate(onWaiting)
    }
  }
  const start = async (source: ContainerSource) => {
    const placement = { labels: own, bindAddress, memoryFolders: image.volumes, source, hold, onCreated }
    return guard.during(() => describeContainer(definition, placement).start())
  }
  const snapshot = openSnapshot(definition, { api, guard, image, root, name, labels })
  const restored = await snapshot?.start(start, { service: service.name, report })
  try {
    const started = restored ?? (await start({ ...image, name, image: service.image }))
    const tied = created.tied ?? (await tie({ api, id: started.getId(), hold }))
    const use = snapshot?.useOf(tied.id, { isRestored: restored !== undefined }) ?? { kind: 'none' }
    const { entrypoint } = image
    return new DockerService({
      ...tied,
      started,
      host,
      api,
      definition,
      memoryFolder,
      entrypoint,
      snapshot: use,
      keepAliveMs,
    })
  } catch (error) {
    if (created.tied && isGone(error)) {
      return exitedService(name, host, created.tied)
    }
    // Testcontainers does not remove a container that it could not start.
    await api.removeContainer(name).catch(() => {})
    throw new InfraError('INFRA_SERVICE_START', {
      problem: `Cannot start service "${service.name}": the engine refused its container: ${messageOf(error)}`,
      remedy: `Correct what it names; the options of ${service.name} lead to its container`,
      service: service.name,
      provider: 'docker',
      cause: error,
    })
  }
}

async function assertPinnedPortFree(
  { service, hostPort }: ServiceDefinition,
  host: string,
  { api, root, runId }: ContainerContext,
): Promise<void> {
  if (hostPort === undefined) {
    return
  }
  // The container of a killed run may hold the port.
  await sweep(api)
  await evictReusable(hostPort, { api, root, runId })
  await assertPortFree({
    host,
    port: hostPort,
    service: service.name,
    variable: service.envPortVar,
    containersPublishing: (port) => containersPublishing(api, port),
  })
}

async function labelsOf(
  { service }: ServiceDefinition,
  { runId, root, isOutlived = false }: ContainerContext & { readonly isOutlived?: boolean },
): Promise<Record<string, string>> {
  return {
    ...(await ownerLabels({ isOutlived })),
    [LABEL.service]: service.name,
    [LABEL.run]: runId,
    [LABEL.project]: basename(root),
  }
}

/**
 * Resolves to the facts of an image. Its volumes will be mounted in memory, which is faster and leaves no anonymous
 * volume.
 */
async function readImage(api: EngineApi, image: string): Promise<ImageFacts> {
  const found = await api.findImage(image)
  if (!found) {
    throw new Error(`the image "${image}" was removed after it was pulled`)
  }
  const { Entrypoint, Cmd, Volumes } = found.Config ?? {}
  const [entrypoint, command] = [[Entrypoint ?? []].flat(), [Cmd ?? []].flat()]
  return { id: found.Id, entrypoint, command, volumes: Object.keys(Volumes ?? {}) }
}

async function containersPublishing(api: EngineApi, port: number): Promise<string[]> {
  const containers = await api.listContainers({})
  return containers
    .filter(({ Ports }) => Ports?.some(({ PublicPort }) => PublicPort === port))
    .map(({ Names, Id }) => plainName(Names[0] ?? Id))
}
