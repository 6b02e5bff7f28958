import { LABEL } from '../../../internal/names.ts'
import type {
  Address,
  HealthcheckResult,
  ServerExit,
  ServerInstance,
  ServerReuse,
  ServerStatus,
  ServiceDefinition,
  SnapshotUse,
  StartedService,
} from '../../../services/service.ts'
import type { StartContext } from '../../provider.ts'
import { ContainerInstances } from '../container/container-instances.ts'
import { type ContainerDetails, type EngineApi, type ImageDetails, plainName } from '../engine/engine-api.ts'
import { addressIn, digestSpec, type ReusePlace, wantedPorts } from './reuse-labels.ts'
import { type Attachment, Lifeline } from '../container/lifeline.ts'

export interface AttachOptions extends ReusePlace, StartContext {
  readonly api: EngineApi
  readonly runId: string
  /**
   * The minimum time that the server stays up unused after this run, in milliseconds; undefined if this run leaves no
   * servers running itself.
   */
  readonly keepAliveMs: number | undefined
}

/**
 * Attaches to a server of an earlier run that is still running, if it has the same definition and no other run uses it.
 * Removes an unhealthy server. Resolves to undefined if no server can be used.
 */
export async function attachService(
  definition: ServiceDefinition,
  options: AttachOptions,
): Promise<StartedService | undefined> {
  const { api, signal } = options
  const spec = digestSpec(definition, options)
  const answers = await Promise.all([
    api.listContainers({ [LABEL.spec]: spec }, signal),
    api.findImage(definition.service.image, signal),
    // If the engine fails, the start of a container reports the error.
  ]).catch(() => undefined)
  signal.throwIfAborted()
  const [containers = [], image] = answers ?? []
  for (const { Id, Labels, State } of containers) {
    // The image's name may now point to another image. A container that never ran is still being created by another
    // run.
    if (image && Labels[LABEL.image] === image.Id && (State === 'running' || State === 'paused')) {
      // A container that does not answer is left alone.
      const attached = await attachTo(Id, { ...options, definition, image }).catch(() => undefined)
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
  id: string,
  { api, definition, image, runId, keepAliveMs = 0, report, signal, onWaiting }: AttachToOptions,
): Promise<StartedService | undefined> {
  const details = await api.inspectContainer(id, signal)
  if (!details?.State.Running || !publishes(details, wantedPorts(definition))) {
    return undefined
  }
  if (details.State.Paused) {
    // A paused container cannot report whether another run uses it.
    await api.unpause(id, signal)
  }
  const { Labels } = details.Config
  const graceMs = Math.max(keepAliveMs, Number(Labels[LABEL.idleTimeout]))
  const folder = Labels[LABEL.dataFolder] ?? '/'
  const attachment = await Lifeline.attach({ api, id, hold: { run: runId, graceMs } }, { folder, onWaiting })
  if (!attachment) {
    return undefined
  }
  const reason = findFault(details)
  if (reason !== undefined) {
    attachment.lifeline.end()
    await api.removeContainer(id)
    report({ type: 'service-replaced', service: definition.service.name, reason })
    return undefined
  }
  const entrypoint = [image.Config?.Entrypoint ?? []].flat()
  return new AttachedService({
    ...attachment,
    api,
    details,
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

interface AttachedServiceOptions extends Attachment {
  readonly api: EngineApi
  readonly details: ContainerDetails
  readonly definition: ServiceDefinition
  /** How long the server stays up unused, in milliseconds. */
  readonly idleTimeoutMs: number
  /** A folder of the container that is in memory. */
  readonly folder: string
  /** The entrypoint of the service's image. */
  readonly entrypoint: readonly string[]
}

/** The exit of an attached container. Nothing more is known about it, because the engine's events are not watched. */
const UNKNOWN_EXIT: ServerExit = { running: false, exitCode: undefined, outOfMemory: false }

/** A running container of an earlier run, which this run uses. */
class AttachedService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly container: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  readonly reuse: ServerReuse
  readonly exited: Promise<ServerExit>
  readonly #options: AttachedServiceOptions
  readonly #instances: ContainerInstances

  constructor(options: AttachedServiceOptions) {
    const { api, details, definition, folder, entrypoint, note } = options
    this.#options = options
    this.container = this.label = plainName(details.Name)
    this.snapshot = { kind: 'attached', note }
    this.exited = options.lifeline.gone.then(() => UNKNOWN_EXIT)
    this.reuse = {
      idleTimeoutMs: options.idleTimeoutMs,
      note: (text) => options.lifeline.note(text),
      detach: () => this.#detach(),
    }
    this.address = addressIn(details, definition.service.defaultPort)
    this.#instances = new ContainerInstances(definition, { api, id: details.Id, folder, entrypoint })
    this.instances = this.#instances.servers((port) => addressIn(details, port))
  }

  takeBase(): Promise<void> {
    return this.#instances.takeBase()
  }

  async freeBytes(): Promise<number | undefined> {
    return this.#options.freeBytes
  }

  /**
   * Returns the last result of the engine's own healthcheck. In the first seconds of a container there is none; then
   * only the health gate's query decides.
   */
  async runHealthcheck(): Promise<HealthcheckResult> {
    const { Health } = this.#options.details.State
    return { passed: Health?.Status !== 'unhealthy', output: `the engine says ${Health?.Status ?? 'nothing'}` }
  }

  async status(): Promise<ServerStatus> {
    const { api, details } = this.#options
    return (await api.isRunning(details.Id)) ? { running: true } : UNKNOWN_EXIT
  }

  logTail(count: number, sinceMs = 0): Promise<string> {
    const { api, details } = this.#options
    return api.readLog(details.Id, { count, sinceMs })
  }

  stop(abandon?: AbortSignal): Promise<void> {
    this.#instances.close()
    this.#options.lifeline.end()
    return this.#options.api.removeContainer(this.#options.details.Id, abandon)
  }

  async #detach(): Promise<void> {
    this.#instances.close()
    await this.#options.lifeline.detach()
  }
}
