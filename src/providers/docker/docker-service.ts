import type { StartedTestContainer } from 'testcontainers'
import type { Address, ServiceDefinition, SiblingServer } from '../../services/service.ts'
import type { HealthcheckResult, ServerStatus, StartedService } from '../provider.ts'
import { ContainerSiblings } from './container-siblings.ts'
import { demultiplex } from './demultiplex.ts'
import type { Container, Dockerode } from './dockerode-types.ts'

export interface DockerServiceOptions {
  readonly started: StartedTestContainer
  /** Where its published port is reached. */
  readonly host: string
  readonly dockerode: Dockerode
  readonly definition: ServiceDefinition
  /** A folder inside the container that is kept in memory. */
  readonly memoryFolder: string
}

/** A container that was started for a service. */
export class DockerService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly siblings: readonly SiblingServer[]
  readonly #siblings: ContainerSiblings
  readonly #started: StartedTestContainer
  readonly #container: Container
  readonly #healthcheckCommand: string
  readonly #memoryFolder: string
  #stopping: Promise<void> | undefined

  constructor({ started, host, dockerode, definition, memoryFolder }: DockerServiceOptions) {
    const { service } = definition
    this.#started = started
    this.#container = dockerode.getContainer(started.getId())
    this.#healthcheckCommand = service.healthcheck.cmd
    this.#memoryFolder = memoryFolder
    this.address = { host, port: started.getMappedPort(service.defaultPort) }
    this.#siblings = new ContainerSiblings(this.#container, definition, memoryFolder)
    this.siblings = this.#siblings.servers((port) => ({ host, port: started.getMappedPort(port) }))
    this.label = started.getName().replace(/^\//, '')
  }

  async runHealthcheck(): Promise<HealthcheckResult> {
    const { exitCode, output } = await this.#started.exec(['sh', '-c', this.#healthcheckCommand])
    return { passed: exitCode === 0, output }
  }

  async freeBytes(): Promise<number | undefined> {
    const { output } = await this.#started.exec(['df', '-P', '-k', this.#memoryFolder])
    const [, , , kilobytes] = output.trim().split('\n').at(-1)?.split(/\s+/) ?? []
    return Number(kilobytes) * 1024 || undefined
  }

  async status(): Promise<ServerStatus> {
    const { State } = await this.#container.inspect()
    return State.Running
      ? { running: true }
      : { running: false, exitCode: State.ExitCode, outOfMemory: State.OOMKilled }
  }

  async logTail(count: number): Promise<string> {
    return demultiplex(await this.#container.logs({ stdout: true, stderr: true, follow: false, tail: count }))
  }

  stop(): Promise<void> {
    this.#siblings.close()
    this.#stopping ??= removeContainer(this.#container).catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }
}

/** Removes a container, running or not, in one request: its data is in memory, so there is nothing to shut down for. */
export async function removeContainer(container: Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true })
  } catch (error) {
    if (!isGone(error)) {
      throw error
    }
  }
}

/** 404: there is no such container; 409: its removal is already in progress. */
function isGone(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}
