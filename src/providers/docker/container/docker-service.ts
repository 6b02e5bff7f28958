import type { StartedTestContainer } from 'testcontainers'
import type { Address, ServiceDefinition, ServerInstance, SnapshotUse } from '../../../services/service.ts'
import type { HealthcheckResult, Keeping, ServerExit, ServerStatus, StartedService } from '../../provider.ts'
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
  /** Where its published port is reached. */
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
  /** That of the image that the service was asked to be. */
  readonly entrypoint: readonly string[]
  readonly snapshot: SnapshotUse
  /** How long it stays up for the next run, if it does. */
  readonly keepAliveMs: number | undefined
}

/** A container that was started for a service. */
export class DockerService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  readonly keeping: Keeping | undefined
  readonly ended: Promise<ServerExit>
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
    this.keeping =
      idleTimeoutMs === undefined
        ? undefined
        : { idleTimeoutMs, note: (text) => this.#lifeline.note(text), leave: () => this.#leave() }
    this.#ending = options.ending
    // The lifeline notices, too, where the connection that brings the engine's events has broken.
    this.ended = Promise.race([this.#ending.ended, this.#lifeline.gone.then(() => this.#ending.status())])
    this.address = { host, port: started.getMappedPort(service.defaultPort) }
    const { id } = container
    this.#check = new ContainerCheck({ api, id, command: service.healthcheck.cmd, folder })
    this.#instances = new ContainerInstances(definition, { api, id, folder, entrypoint })
    this.instances = this.#instances.servers((port) => ({ host, port: started.getMappedPort(port) }))
    this.label = plainName(started.getName())
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
      // An engine that does not answer once may do so the next time.
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

  async #leave(): Promise<void> {
    this.#check.close()
    this.#instances.close()
    this.#ending.close()
    await this.#lifeline.leave()
  }

  async #readLog(count: number, sinceMs: number): Promise<string> {
    // Whole seconds are what every engine understands.
    const since = Math.floor(sinceMs / 1000)
    return demultiplex(await this.#container.logs({ stdout: true, stderr: true, follow: false, tail: count, since }))
  }
}
