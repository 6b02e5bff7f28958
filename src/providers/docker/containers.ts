import { PostgreSqlContainer } from '@testcontainers/postgresql'
import { RedisContainer } from '@testcontainers/redis'
import { type GenericContainer, PullPolicy, type WaitStrategy } from 'testcontainers'
import { parseDurationMs } from '../../internal/duration.ts'
import { type ServiceDefinition, siblingPortsOf } from '../../services/service.ts'

export interface ContainerPlacement {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The address on the engine's machine that the port is published on. */
  readonly bindAddress: string
  /** Folders inside the container that are kept in memory. */
  readonly memoryFolders: readonly string[]
}

/** The container of a service, described but not yet created. */
export function describeContainer(definition: ServiceDefinition, placement: ContainerPlacement): GenericContainer {
  const { service, hostPort, command, sharedMemoryBytes } = definition
  const container = createContainer(definition, placement.bindAddress)
    .withName(placement.name)
    .withLabels({ ...service.labels, ...placement.labels })
    .withCommand([...command])
    .withHealthCheck(healthcheckOf(definition))
    .withTmpFs(Object.fromEntries(placement.memoryFolders.map((folder) => [folder, 'rw'])))
    .withPullPolicy(PullPolicy.neverPull())
    .withWaitStrategy(startedIsEnough())
    // No Ryuk for ours; other users of Testcontainers in this process keep theirs.
    .withAutoCleanup(false)
  if (hostPort !== undefined) {
    container.withExposedPorts({ container: service.defaultPort, host: hostPort })
  }
  const siblingPorts = siblingPortsOf(definition)
  if (siblingPorts.length > 0) {
    container.withExposedPorts(...siblingPorts)
  }
  return sharedMemoryBytes === undefined ? container : container.withSharedMemorySize(sharedMemoryBytes)
}

function createContainer({ service, environment }: ServiceDefinition, bindAddress: string): GenericContainer {
  if (service.name === 'redis') {
    return new BoundRedisContainer(service.image, bindAddress).withEnvironment({ ...environment })
  }
  const { POSTGRES_USER = '', POSTGRES_PASSWORD = '', POSTGRES_DB = '', ...rest } = environment
  return new BoundPostgreSqlContainer(service.image, bindAddress)
    .withUsername(POSTGRES_USER)
    .withPassword(POSTGRES_PASSWORD)
    .withDatabase(POSTGRES_DB)
    .withEnvironment(rest)
}

/** Testcontainers publishes on every address of the machine; a test database belongs on one. */
class BoundPostgreSqlContainer extends PostgreSqlContainer {
  readonly #bindAddress: string

  constructor(image: string, bindAddress: string) {
    super(image)
    this.#bindAddress = bindAddress
  }

  protected override async beforeContainerCreated(): Promise<void> {
    bindPorts(this.hostConfig.PortBindings, this.#bindAddress)
  }
}

class BoundRedisContainer extends RedisContainer {
  readonly #bindAddress: string

  constructor(image: string, bindAddress: string) {
    super(image)
    this.#bindAddress = bindAddress
  }

  protected override async beforeContainerCreated(): Promise<void> {
    bindPorts(this.hostConfig.PortBindings, this.#bindAddress)
  }
}

function bindPorts(bindings: Record<string, { HostIp?: string }[]> | undefined, bindAddress: string): void {
  for (const binding of Object.values(bindings ?? {}).flat()) {
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
