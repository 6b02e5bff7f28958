import { PostgreSqlContainer } from '@testcontainers/postgresql'
import { RedisContainer } from '@testcontainers/redis'
import { GenericContainer, PullPolicy, type WaitStrategy } from 'testcontainers'
import { parseDurationMs } from '../../../internal/duration.ts'
import { type ServiceDefinition, instancePortsOf } from '../../../services/service.ts'
import type { HostConfig } from '../engine/dockerode-types.ts'
import { type Hold, tiedEntrypoint } from './lifeline-script.ts'
import type { ContainerSource } from '../snapshot/docker-snapshot.ts'
import { OPEN_INPUT } from './tie.ts'

export interface ContainerPlacement {
  readonly labels: Readonly<Record<string, string>>
  /** The address on the engine's machine that the port is published on. */
  readonly bindAddress: string
  /** Folders inside the container that are kept in memory. */
  readonly memoryFolders: readonly string[]
  /** What it is made from: the service's image, or a snapshot of it. */
  readonly source: ContainerSource
  readonly hold: Hold
  /** Called before the container is started. */
  readonly onCreated: (id: string) => Promise<void>
}

/** The container of a service, described but not yet created. */
export function describeContainer(definition: ServiceDefinition, placement: ContainerPlacement): GenericContainer {
  const { service, hostPort, command, sharedMemoryBytes } = definition
  const container = (CONTAINERS[definition.service.name] ?? createGeneric)(definition, placement)
    .withName(placement.source.name)
    .withLabels({ ...service.labels, ...placement.labels })
    .withEntrypoint(tiedEntrypoint(placement.source.entrypoint, placement.hold, definition))
    .withCommand([...(command.length > 0 ? command : placement.source.command)])
    .withHealthCheck(healthcheckOf(definition))
    .withTmpFs(Object.fromEntries(placement.memoryFolders.map((folder) => [folder, 'rw'])))
    .withPullPolicy(PullPolicy.neverPull())
    .withWaitStrategy(startedIsEnough())
    // No Ryuk for ours; other users of Testcontainers in this process keep theirs.
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

/** Testcontainers' classes for the services that it knows. */
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

/** One of Testcontainers' containers, with an input that is held open from here. */
// oxlint-disable-next-line typescript/no-explicit-any -- TypeScript wants it so of what a mixin extends
function tied<Base extends new (...args: any[]) => GenericContainer>(
  Container: Base,
  { bindAddress, onCreated }: ContainerPlacement,
) {
  return class extends Container {
    protected override async beforeContainerCreated(): Promise<void> {
      Object.assign(this.createOpts, OPEN_INPUT)
      settleHost(this.hostConfig, bindAddress)
    }

    protected override containerCreated(id: string): Promise<void> {
      return onCreated(id)
    }
  }
}

function settleHost(host: HostConfig, bindAddress: string): void {
  // The container is removed when its server exits, whatever the reason.
  host.AutoRemove = true
  // Testcontainers publishes on every address of the machine; a test database belongs on one.
  const bindings: Record<string, { HostIp?: string }[]> = host.PortBindings ?? {}
  for (const binding of Object.values(bindings).flat()) {
    binding.HostIp = bindAddress
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

/** Readiness is the health gate's question, the same for every provider, so Testcontainers waits for nothing. */
function startedIsEnough(): WaitStrategy {
  const strategy: WaitStrategy = {
    waitUntilReady: async () => {},
    withStartupTimeout: () => strategy,
    isStartupTimeoutSet: () => true,
    getStartupTimeout: () => 0,
  }
  return strategy
}
