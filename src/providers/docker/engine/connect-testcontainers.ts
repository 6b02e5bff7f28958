import type { ContainerRuntimeClient } from 'testcontainers'
import { InfraError, messageOf } from '../../../errors.ts'
import { parseEngineAddress } from './engine-address.ts'
import { type Engine, engineEnvironment } from './find-engine.ts'
import { askEngine } from './probe-engine.ts'

/** What a Testcontainers user of the process reads: `process.env`. */
export type MutableEnvironment = Record<string, string | undefined>

/** Where dockerode's modem connects to; its own types leave that out. */
interface ModemAddress {
  readonly socketPath?: string
  readonly host?: string
  readonly port?: string
}

interface EngineInfo {
  readonly ID?: string
}

/**
 * Makes Testcontainers' client, of which there is one per process, for the engine that was found. Testcontainers looks
 * for an engine of its own in `environment`, which therefore has to be `process.env`; it is the same again afterwards.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE` when Testcontainers finds none, or is connected to another one already
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

/** An empty value, unlike a missing one, wins over `~/.testcontainers.properties`. */
function variablesFor(engine: Engine): MutableEnvironment {
  const variables = { DOCKER_TLS_VERIFY: '', DOCKER_CERT_PATH: '', ...engineEnvironment(engine) }
  return survivesAsUrl(engine) ? variables : { ...variables, DOCKER_HOST: '' }
}

/**
 * Testcontainers takes the path out of a URL, which escapes a space and loses the dot of `//./pipe/docker_engine`. Such
 * an engine is left to its own search, which knows the usual sockets and that pipe.
 */
function survivesAsUrl({ host }: Engine): boolean {
  return host.startsWith('tcp:') || host.endsWith(`://${new URL(host).pathname}`)
}

function setVariables(environment: MutableEnvironment, variables: MutableEnvironment): () => void {
  const before = Object.keys(variables).map((name) => [name, environment[name]] as const)
  Object.assign(environment, variables)
  return () => {
    // Only if it is still our value: other code may have set it meanwhile.
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

/** Two doors may belong to one engine: `/var/run/docker.sock` is often a link to the socket of a context. */
async function hasSameId(client: ContainerRuntimeClient, engine: Engine): Promise<boolean> {
  const address = parseEngineAddress(engine.host, { tls: engine.tlsDirectory !== undefined })
  const answer = await askEngine(address, '/info', engine).catch(() => '{}')
  const own: EngineInfo = JSON.parse(answer)
  const theirs: EngineInfo = await client.container.dockerode.info()
  return own.ID !== undefined && own.ID === theirs.ID
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
