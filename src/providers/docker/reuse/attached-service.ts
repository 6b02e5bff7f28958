import type { Address, ServiceDefinition, ServerInstance, SnapshotUse } from '../../../services/service.ts'
import type { HealthcheckResult, Keeping, ServerExit, ServerStatus, StartedService } from '../../provider.ts'
import { ContainerInstances } from '../container/container-instances.ts'
import { type ContainerDetails, type EngineApi, plainName } from '../engine/engine-api.ts'
import type { Engine } from '../engine/find-engine.ts'
import { HOST_LABEL } from './reuse-labels.ts'
import type { Welcome } from '../container/lifeline.ts'
import { removeContainer } from '../container/remove-container.ts'

export interface AttachedServiceOptions extends Welcome {
  readonly api: EngineApi
  readonly details: ContainerDetails
  readonly engine: Engine
  readonly definition: ServiceDefinition
  /** How long it stays up when no run uses it. */
  readonly idleTimeoutMs: number
  /** A folder inside the container that is kept in memory. */
  readonly folder: string
  /** That of the image that the service was asked to be. */
  readonly entrypoint: readonly string[]
}

/** No event was watched for it. */
const ENDED: ServerExit = { running: false, exitCode: undefined, outOfMemory: false }

/** A container that an earlier run has left up, and that is this run's now. */
export class AttachedService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  readonly keeping: Keeping
  readonly ended: Promise<ServerExit>
  readonly #options: AttachedServiceOptions
  readonly #instances: ContainerInstances

  constructor(options: AttachedServiceOptions) {
    const { api, details, definition, folder, entrypoint, note } = options
    this.#options = options
    this.label = plainName(details.Name)
    this.snapshot = { kind: 'attached', note }
    this.ended = options.lifeline.gone.then(() => ENDED)
    this.keeping = {
      idleTimeoutMs: options.idleTimeoutMs,
      note: (text) => options.lifeline.note(text),
      leave: () => this.#leave(),
    }
    this.address = this.#addressOf(definition.service.defaultPort)
    this.#instances = new ContainerInstances(definition, { api, id: details.Id, folder, entrypoint })
    this.instances = this.#instances.servers((port) => this.#addressOf(port))
  }

  takeBase(): Promise<void> {
    return this.#instances.takeBase()
  }

  async freeBytes(): Promise<number | undefined> {
    return this.#options.freeBytes
  }

  /** The engine has asked it all the time. In the first seconds of a container it has not, and a query has to do. */
  async runHealthcheck(): Promise<HealthcheckResult> {
    const { Health } = this.#options.details.State
    return { passed: Health?.Status !== 'unhealthy', output: `the engine says ${Health?.Status ?? 'nothing'}` }
  }

  async status(): Promise<ServerStatus> {
    const { api, details } = this.#options
    // An engine that does not answer once may do so the next time.
    return (await api.inspectContainer(details.Id).then(isRunning, () => true)) ? { running: true } : ENDED
  }

  logTail(count: number, sinceMs = 0): Promise<string> {
    const { api, details } = this.#options
    // Whole seconds are what every engine understands.
    return api.readLog(details.Id, { count, since: Math.floor(sinceMs / 1000) })
  }

  stop(letGo?: AbortSignal): Promise<void> {
    this.#instances.close()
    this.#options.lifeline.end()
    return removeContainer(this.#options.engine, this.#options.details.Id, letGo)
  }

  async #leave(): Promise<void> {
    this.#instances.close()
    await this.#options.lifeline.leave()
  }

  #addressOf(port: number): Address {
    return addressIn(this.#options.details, port)
  }
}

function isRunning(known: ContainerDetails | undefined): boolean {
  return known?.State.Running ?? false
}

/** Where a port of a container that outlived its run is reached. */
export function addressIn({ Config, NetworkSettings }: ContainerDetails, port: number): Address {
  const [binding] = NetworkSettings.Ports[`${port}/tcp`] ?? []
  return { host: Config.Labels[HOST_LABEL] ?? 'localhost', port: Number(binding?.HostPort) }
}
