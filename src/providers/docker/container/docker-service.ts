import type { StartedTestContainer } from 'testcontainers'
import type {
  Address,
  ServiceDefinition,
  ServerInstance,
  SnapshotUse,
  HealthcheckResult,
  ServerReuse,
  ServerExit,
  ServerStatus,
  StartedService,
} from '../../../services/service.ts'
import { ContainerCheck } from './container-check.ts'
import { ContainerInstances } from './container-instances.ts'
import { type EngineApi, plainName } from '../engine/engine-api.ts'
import type { Tied } from './tie.ts'

export interface DockerServiceOptions extends Tied {
  readonly started: StartedTestContainer
  /** The host of the container's published ports. */
  readonly host: string
  readonly api: EngineApi
  readonly definition: ServiceDefinition
  /** A folder of the container that is in memory. */
  readonly memoryFolder: string
  /** The entrypoint of the service's image. */
  readonly entrypoint: readonly string[]
  readonly snapshot: SnapshotUse
  /** How long the server stays up unused, in milliseconds; undefined if it ends with its run. */
  readonly keepAliveMs: number | undefined
}

/** A container that was started for a service. */
export class DockerService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly container: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  readonly reuse: ServerReuse | undefined
  readonly exited: Promise<ServerExit>
  readonly #options: DockerServiceOptions
  readonly #instances: ContainerInstances
  readonly #check: ContainerCheck
  #stopping: Promise<void> | undefined

  constructor(options: DockerServiceOptions) {
    const { api, id, started, host, definition, memoryFolder: folder, entrypoint, lifeline, exit } = options
    const { service } = definition
    this.#options = options
    this.snapshot = options.snapshot
    const { keepAliveMs: idleTimeoutMs } = options
    this.reuse =
      idleTimeoutMs === undefined
        ? undefined
        : { idleTimeoutMs, note: (text) => lifeline.note(text), detach: () => this.#detach() }
    // The lifeline notices an exit even if the connection for the engine's events is broken.
    this.exited = Promise.race([exit.exited, lifeline.gone.then(() => exit.status())])
    this.address = { host, port: started.getMappedPort(service.defaultPort) }
    this.#check = new ContainerCheck({ api, id, command: service.healthcheck.cmd, folder })
    this.#instances = new ContainerInstances(definition, { api, id, folder, entrypoint })
    this.instances = this.#instances.servers((port) => ({ host, port: started.getMappedPort(port) }))
    this.container = this.label = plainName(started.getName())
  }

  takeBase(): Promise<void> {
    return this.#instances.takeBase()
  }

  runHealthcheck(): Promise<HealthcheckResult> {
    return this.#check.run()
  }

  freeBytes(): Promise<number | undefined> {
    return this.#check.freeBytes()
  }

  async status(): Promise<ServerStatus> {
    const { api, id, exit } = this.#options
    return (await api.isRunning(id)) ? { running: true } : exit.status()
  }

  async logTail(count: number, sinceMs?: number): Promise<string> {
    const { api, id, output } = this.#options
    return sinceMs === undefined ? output.tail(count) : api.readLog(id, { count, sinceMs })
  }

  stop(abandon?: AbortSignal): Promise<void> {
    const { api, id, lifeline } = this.#options
    this.#close()
    lifeline.end()
    this.#stopping ??= api.removeContainer(id, abandon).catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }

  async #detach(): Promise<void> {
    this.#close()
    await this.#options.lifeline.detach()
  }

  #close(): void {
    this.#check.close()
    this.#instances.close()
    this.#options.exit.close()
  }
}
