import type { ContainerRuntimeClient } from 'testcontainers'
import { InfraError, messageOf } from '../../../errors.ts'
import { EngineApi, type EngineInfo } from './engine-api.ts'
import { type Engine, engineEnvironment } from './find-engine.ts'

/** The environment that Testcontainers reads: `process.env`. */
export type MutableEnvironment = Record<string, string | undefined>

/** The engine's address in Testcontainers' own client, which its types leave out. */
interface ModemAddress {
  readonly socketPath?: string
  readonly host?: string
  readonly port?: string
}

/**
 * Connects Testcontainers to the engine that was found. Testcontainers has one client per process, and searches for an
 * engine in `process.env`. `environment` must therefore be `process.env`; its variables are restored afterwards.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE` if Testcontainers finds no engine, or is already connected to another
 * one
 */
export async function connectTestcontainers(
  engine: Engine,
  environment: MutableEnvironment,
): Promise<ContainerRuntimeClient> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  const restore = setVariables(environment, variablesFor(engine))
  try {
    const client = await getContainerRuntimeClient()
    await assertSameEngine(client, engine)
    return client
  } catch (error) {
    throw error instanceof InfraError ? error : notConnected(engine, error)
  } finally {
    restore()
  }
}

/**
 * Returns the variables to set. An unused variable is empty instead of missing, because only an empty value takes
 * precedence over `~/.testcontainers.properties`.
 */
function variablesFor(engine: Engine): MutableEnvironment {
  const variables = { DOCKER_TLS_VERIFY: '', DOCKER_CERT_PATH: '', ...engineEnvironment(engine) }
  return survivesAsUrl(engine) ? variables : { ...variables, DOCKER_HOST: '' }
}

/**
 * Whether Testcontainers can parse the host. It parses hosts as URLs, which escapes a space and drops the dot of
 * `//./pipe/docker_engine`.
 *
 * For such a host, `DOCKER_HOST` is not set: the search of Testcontainers itself knows the usual sockets and that pipe.
 */
function survivesAsUrl({ host }: Engine): boolean {
  return host.startsWith('tcp:') || host.endsWith(`://${new URL(host).pathname}`)
}

function setVariables(environment: MutableEnvironment, variables: MutableEnvironment): () => void {
  const before = Object.keys(variables).map((name) => [name, environment[name]] as const)
  Object.assign(environment, variables)
  return () => {
    // If other code has set another value meanwhile, that value remains.
    for (const [name, value] of before) {
      if (environment[name] === variables[name]) {
        assign(environment, name, value)
      }
    }
  }
}

function assign(environment: MutableEnvironment, name: string, value: string | undefined): void {
  if (value === undefined) {
    delete environment[name]
  } else {
    environment[name] = value
  }
}

async function assertSameEngine(client: ContainerRuntimeClient, engine: Engine): Promise<void> {
  const connected = connectedHost(client)
  if (connected === engine.host || (await hasSameId(client, engine))) {
    return
  }
  throw new InfraError('INFRA_ENGINE_UNREACHABLE', {
    problem: `Cannot use the container engine at ${engine.host}: Testcontainers has connected to ${connected} in this process`,
    remedy: `Set DOCKER_HOST=${engine.host} for the whole process, so that all of it finds the same engine`,
  })
}

function connectedHost(client: ContainerRuntimeClient): string {
  const modem: object = client.container.dockerode.modem
  const { socketPath, host, port }: ModemAddress = modem
  const scheme = socketPath?.startsWith('//') ? 'npipe' : 'unix'
  return host ? `tcp://${host}:${port}` : `${scheme}://${socketPath}`
}

/**
 * Resolves to whether both clients use the same engine. One engine may have two addresses: `/var/run/docker.sock` is
 * often a link to the socket of a context.
 */
async function hasSameId(client: ContainerRuntimeClient, engine: Engine): Promise<boolean> {
  const own = await new EngineApi(engine).info().catch(() => undefined)
  const theirs: EngineInfo = await client.container.dockerode.info()
  return own?.ID !== undefined && own.ID === theirs.ID
}

function notConnected(engine: Engine, error: unknown): InfraError {
  return new InfraError('INFRA_ENGINE_UNREACHABLE', {
    problem: `Cannot connect Testcontainers to the container engine at ${engine.host}: ${messageOf(error)}`,
    remedy: survivesAsUrl(engine)
      ? 'Set DEBUG=testcontainers* to see what it tried'
      : 'Link the socket to a path without spaces and special characters, and set DOCKER_HOST to that path',
    cause: error,
  })
}
