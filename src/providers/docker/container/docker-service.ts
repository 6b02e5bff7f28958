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
import { demultiplex } from '../engine/demultiplex.ts'
import type { ContainerExit } from './container-exit.ts'
import type { ContainerOutput } from './container-output.ts'
import type { Container } from '../engine/dockerode-types.ts'
import { type EngineApi, plainName } from '../engine/engine-api.ts'
import type { Engine } from '../engine/find-engine.ts'
import type { Lifeline } from './lifeline.ts'
import { isGone, removeContainer } from './remove-container.ts'

export interface DockerServiceOptions {
  readonly started: StartedTestContainer
  /** The host of its published ports. */
  readonly host: string
  readonly engine: Engine
  readonly api: EngineApi
  readonly container: Container
  readonly output: ContainerOutput
  readonly lifeline: Lifeline
  readonly ending: ContainerExit
  readonly definition: ServiceDefinition
  /** A folder inside the container that is kept in memory. */
  readonly memoryFolder: string
  /** The entrypoint of the service's image. */
  readonly entrypoint: readonly string[]
  readonly snapshot: SnapshotUse
  /** How long it stays up unused; undefined if it ends with its run. */
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
  readonly #instances: ContainerInstances
  readonly #engine: Engine
  readonly #container: Container
  readonly #output: ContainerOutput
  readonly #lifeline: Lifeline
  readonly #ending: ContainerExit
  readonly #check: ContainerCheck
  #stopping: Promise<void> | undefined

  constructor(options: DockerServiceOptions) {
    const { api, container, started, host, definition, memoryFolder: folder, entrypoint } = options
    const { service } = definition
    this.snapshot = options.snapshot
    this.#engine = options.engine
    this.#container = container
    this.#output = options.output
    this.#lifeline = options.lifeline
    const { keepAliveMs: idleTimeoutMs } = options
    this.reuse =
      idleTimeoutMs === undefined
        ? undefined
        : { idleTimeoutMs, note: (text) => this.#lifeline.note(text), detach: () => this.#detach() }
    this.#ending = options.ending
    // The lifeline notices an exit even if the connection for the engine's events is broken.
    this.exited = Promise.race([this.#ending.ended, this.#lifeline.gone.then(() => this.#ending.status())])
    this.address = { host, port: started.getMappedPort(service.defaultPort) }
    const { id } = container
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
    try {
      const { State } = await this.#container.inspect()
      return State.Running ? { running: true } : await this.#ending.status()
    } catch (error) {
      // The engine may answer the next time.
      return isGone(error) ? this.#ending.status() : { running: true }
    }
  }

  async logTail(count: number, sinceMs?: number): Promise<string> {
    return sinceMs === undefined ? this.#output.tail(count) : this.#readLog(count, sinceMs)
  }

  stop(letGo?: AbortSignal): Promise<void> {
    this.#check.close()
    this.#instances.close()
    this.#ending.close()
    this.#lifeline.end()
    this.#stopping ??= removeContainer(this.#engine, this.#container.id, letGo).catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }

  async #detach(): Promise<void> {
    this.#check.close()
    this.#instances.close()
    this.#ending.close()
    await this.#lifeline.detach()
  }

  async #readLog(count: number, sinceMs: number): Promise<string> {
    // Not every engine accepts fractions of a second.
    const since = Math.floor(sinceMs / 1000)
    return demultiplex(await this.#container.logs({ stdout: true, stderr: true, follow: false, tail: count, since }))
  }
}
