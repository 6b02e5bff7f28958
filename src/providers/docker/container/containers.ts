import { PostgreSqlContainer } from '@testcontainers/postgresql'
import { RedisContainer } from '@testcontainers/redis'
import { GenericContainer, PullPolicy, type WaitStrategy } from 'testcontainers'
import { parseDurationMs } from '../../../internal/duration.ts'
import { type ServiceDefinition, instancePortsOf } from '../../../services/service.ts'
import { type Hold, tiedEntrypoint } from './lifeline-script.ts'
import type { ContainerSource } from '../snapshot/docker-snapshot.ts'
import { OPEN_INPUT } from './tie.ts'

export interface ContainerPlacement {
  readonly labels: Readonly<Record<string, string>>
  /** The address on the engine's machine on which the port is published. */
  readonly bindAddress: string
  /** Folders of the container that are in memory. */
  readonly memoryFolders: readonly string[]
  /** The service's image, or a snapshot. */
  readonly source: ContainerSource
  readonly hold: Hold
  /** Called before the container is started. */
  readonly onCreated: (id: string) => Promise<void>
}

/** Describes a service's container for Testcontainers, without creating it. */
export function describeContainer(definition: ServiceDefinition, placement: ContainerPlacement): GenericContainer {
  const { service, hostPort, command, sharedMemoryBytes } = definition
  const container = (CONTAINERS[service.name] ?? createGeneric)(definition, placement)
    .withName(placement.source.name)
    .withLabels({ ...service.labels, ...placement.labels })
    .withEntrypoint(tiedEntrypoint(placement.source.entrypoint, placement.hold, definition))
    .withCommand([...(command.length > 0 ? command : placement.source.command)])
    .withHealthCheck(healthcheckOf(definition))
    .withTmpFs(Object.fromEntries(placement.memoryFolders.map((folder) => [folder, 'rw'])))
    .withPullPolicy(PullPolicy.neverPull())
    .withWaitStrategy(startedIsEnough())
    // Testcontainers' cleanup container, Ryuk, is not used here. Other users of Testcontainers in this process still
    // get it.
    .withAutoCleanup(false)
  if (hostPort !== undefined) {
    container.withExposedPorts({ container: service.defaultPort, host: hostPort })
  }
  const instancePorts = instancePortsOf(definition)
  if (instancePorts.length > 0) {
    container.withExposedPorts(...instancePorts)
  }
  return sharedMemoryBytes === undefined ? container : container.withSharedMemorySize(sharedMemoryBytes)
}

/** Testcontainers' own classes for services, by the service's name. */
const CONTAINERS: Readonly<
  Record<string, (definition: ServiceDefinition, placement: ContainerPlacement) => GenericContainer>
> = {
  postgres({ environment }, placement) {
    const { POSTGRES_USER = '', POSTGRES_PASSWORD = '', POSTGRES_DB = '', ...rest } = environment
    return new (tied(PostgreSqlContainer, placement))(placement.source.image)
      .withUsername(POSTGRES_USER)
      .withPassword(POSTGRES_PASSWORD)
      .withDatabase(POSTGRES_DB)
      .withEnvironment(rest)
  },
  redis: ({ environment }, placement) =>
    new (tied(RedisContainer, placement))(placement.source.image).withEnvironment({ ...environment }),
}

function createGeneric({ service, environment }: ServiceDefinition, placement: ContainerPlacement): GenericContainer {
  return new (tied(GenericContainer, placement))(placement.source.image)
    .withExposedPorts(service.defaultPort)
    .withEnvironment({ ...environment })
}

/** Extends a Testcontainers class, so that this process can hold the container's standard input open. */
// oxlint-disable-next-line typescript/no-explicit-any -- TypeScript requires it of a mixin's base class
function tied<Base extends new (...args: any[]) => GenericContainer>(
  Container: Base,
  { bindAddress, onCreated }: ContainerPlacement,
) {
  return class extends Container {
    protected override async beforeContainerCreated(): Promise<void> {
      Object.assign(this.createOpts, OPEN_INPUT)
      const host = this.hostConfig
      // The engine removes the container when its server exits, for whatever reason.
      host.AutoRemove = true
      // Testcontainers publishes ports on every address of the machine.
      const bindings: Record<string, { HostIp?: string }[]> = host.PortBindings ?? {}
      for (const binding of Object.values(bindings).flat()) {
        binding.HostIp = bindAddress
      }
    }

    protected override containerCreated(id: string): Promise<void> {
      return onCreated(id)
    }
  }
}

function healthcheckOf({ service: { healthcheck, name } }: ServiceDefinition) {
  return {
    test: ['CMD-SHELL', healthcheck.cmd] as ['CMD-SHELL', string],
    interval: parseDurationMs(healthcheck.interval, `${name}.healthcheck.interval`),
    timeout: parseDurationMs(healthcheck.timeout, `${name}.healthcheck.timeout`),
    retries: healthcheck.retries,
  }
}

/** Returns a strategy that waits for nothing, because the health gate decides on readiness for every provider. */
function startedIsEnough(): WaitStrategy {
  const strategy: WaitStrategy = {
    waitUntilReady: async () => {},
    withStartupTimeout: () => strategy,
    isStartupTimeoutSet: () => true,
    getStartupTimeout: () => 0,
  }
  return strategy
}
