import { basename } from 'node:path'
import type { ContainerRuntimeClient } from 'testcontainers'
import { InfraError, messageOf } from '../../../errors.ts'
import { withTimeLimit } from '../../../internal/time-limit.ts'
import { assertPortFree } from '../../port-holder.ts'
import type { ServiceDefinition, StartedService } from '../../../services/service.ts'
import type { StartContext } from '../../provider.ts'
import { DockerService } from './docker-service.ts'
import { type ContainerSource, type ImageFacts, openSnapshot } from '../snapshot/docker-snapshot.ts'
import { EngineApi, plainName } from '../engine/engine-api.ts'
import { type EngineHost, findEngineHost } from '../engine/engine-host.ts'
import { evictReusable } from '../reuse/evict-reusable.ts'
import type { Engine } from '../engine/find-engine.ts'
import { reuseLabels, RUN_LABEL, SERVICE_LABEL } from '../reuse/reuse-labels.ts'
import { ensureImage } from '../image/pull-image.ts'
import { ownerLabels } from './owner.ts'
import { isGone, removeContainer } from './remove-container.ts'
import type { StartGuard } from './start-guard.ts'
import { sweep } from './sweep.ts'
import { endedService, type Tied, tie } from './tie.ts'

export interface DockerProviderOptions {
  readonly engine: Engine
  /** The environment that Testcontainers reads. */
  readonly environment: Record<string, string | undefined>
  /** Names this run on its containers. */
  readonly runId: string
  /** The project's folder, named on its containers. */
  readonly root: string
  /** How long servers stay up unused; undefined if they end with their run. */
  readonly keepAliveMs: number | undefined
  /** How long a container may take to start once its image is there, in milliseconds. */
  readonly startupTimeoutMs: number
}

export interface ContainerContext extends StartContext, DockerProviderOptions {
  readonly client: ContainerRuntimeClient
  readonly guard: StartGuard
}

/** Starts a container for a service. If it rejects, nothing of it is left. */
export async function startContainer(
  definition: ServiceDefinition,
  context: ContainerContext,
): Promise<StartedService> {
  const { client, report, signal, startupTimeoutMs } = context
  const place = await findEngineHost(client)
  if (place.host === 'localhost') {
    await assertPinnedPortFree(definition, place.bindAddress, context)
  }
  // A pull has no timeout, and reports its progress.
  const image = await ensureImage({ client, image: definition.service.image, report, signal })
  const starting = startFrom(image, definition, { ...context, ...place })
  return withTimeLimit(startupTimeoutMs, () => starting).catch((error: unknown) => {
    // It may start after the timeout; if the start failed, nothing of it is left.
    void starting.then((started) => started.stop()).catch(() => {})
    throw error
  })
}

async function startFrom(
  imageName: string,
  definition: ServiceDefinition,
  context: ContainerContext & EngineHost,
): Promise<StartedService> {
  const { client, engine, guard, report, signal, onWaiting, root, runId, keepAliveMs, host, bindAddress } = context
  const { service } = definition
  const image = await readImage(client, imageName)
  const [{ describeContainer }, labels] = await Promise.all([import('./containers.ts'), labelsOf(definition, context)])
  signal.throwIfAborted()
  const { dockerode } = client.container
  const name = `vitest-infra-${runId}-${service.name}`
  const api = new EngineApi(engine)
  const hold = { run: runId, graceMs: keepAliveMs }
  const [memoryFolder = '/tmp'] = image.volumes
  const forReuse = reuseLabels(definition, { ...context, image: image.id, host, folder: memoryFolder })
  const own = forReuse ? { ...(await labelsOf(definition, { ...context, isOutlived: true })), ...forReuse } : labels
  const created: { tied?: Tied } = {}
  const onCreated = async (id: string) => {
    created.tied?.ending.close()
    created.tied = await tie(dockerode, { api, id, hold })
    // The engine starts the container now, which takes longer than the rest of the work here.
    if (onWaiting) {
      setImmediate(onWaiting)
    }
  }
  const start = async (source: ContainerSource) => {
    const placement = { labels: own, bindAddress, memoryFolders: image.volumes, source, hold, onCreated }
    return guard.during(() => describeContainer(definition, placement).start())
  }
  const snapshot = openSnapshot(definition, { dockerode, engine, guard, image, root, name, labels })
  const restored = await snapshot?.start(start, { service: service.name, report })
  try {
    const started = restored ?? (await start({ ...image, name, image: service.image }))
    const tied = created.tied ?? (await tie(dockerode, { api, id: started.getId(), hold }))
    const use = snapshot?.useOf(tied.container, { isRestored: restored !== undefined }) ?? { kind: 'none' }
    const { entrypoint } = image
    return new DockerService({
      ...tied,
      started,
      host,
      engine,
      api,
      definition,
      memoryFolder,
      entrypoint,
      snapshot: use,
      keepAliveMs,
    })
  } catch (error) {
    if (created.tied && isGone(error)) {
      return endedService(name, host, created.tied)
    }
    // Testcontainers leaves a container that was created but could not be started.
    await removeContainer(engine, name).catch(() => {})
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
  { client, engine, root, runId }: ContainerContext,
): Promise<void> {
  if (hostPort === undefined) {
    return
  }
  // The port may be held by the container of a run that was killed.
  await sweep(engine)
  await evictReusable(hostPort, { engine, root, runId })
  await assertPortFree({
    host,
    port: hostPort,
    service: service.name,
    variable: service.envPortVar,
    containersPublishing: (port) => containersPublishing(client, port),
  })
}

async function labelsOf(
  { service }: ServiceDefinition,
  { runId, root, isOutlived = false }: ContainerContext & { readonly isOutlived?: boolean },
): Promise<Record<string, string>> {
  return {
    ...(await ownerLabels({ isOutlived })),
    [SERVICE_LABEL]: service.name,
    [RUN_LABEL]: runId,
    'vitest-infra.project': basename(root),
  }
}

/** Memory is mounted where an image declares volumes: that is faster, and leaves no anonymous volume. */
async function readImage(client: ContainerRuntimeClient, image: string): Promise<ImageFacts> {
  const { Id, Config } = await client.container.dockerode.getImage(image).inspect()
  const [entrypoint, command] = [[Config.Entrypoint ?? []].flat(), [Config.Cmd ?? []].flat()]
  return { id: Id, entrypoint, command, volumes: Object.keys(Config.Volumes ?? {}) }
}

async function containersPublishing(client: ContainerRuntimeClient, port: number): Promise<string[]> {
  const containers = await client.container.list()
  return containers
    .filter(({ Ports }) => Ports.some(({ PublicPort }) => PublicPort === port))
    .map(({ Names, Id }) => (Names[0] === undefined ? Id : plainName(Names[0])))
}
