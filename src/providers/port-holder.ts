import { createServer } from 'node:net'
import { InfraError } from '../errors.ts'
import { canConnect } from '../internal/can-connect.ts'
import { findListeningProcess } from './listening-process.ts'

/** The IPv6 counterparts of IPv4 addresses. `localhost` may resolve to either. */
const OF_IPV6: Readonly<Record<string, readonly string[]>> = { '127.0.0.1': ['::1'], '0.0.0.0': ['::'] }

export interface PortCheck {
  /** The address on which the port is to be published. */
  readonly host: string
  readonly port: number
  /** The name of the service that publishes the port. */
  readonly service: string
  /** The environment variable that sets the port, for messages. */
  readonly variable?: string
  /**
   * Resolves to the names of the containers that publish a port. They are searched before processes, because the name
   * docker-proxy does not identify a container.
   */
  readonly containersPublishing?: (port: number) => Promise<readonly string[]>
}

/**
 * Checks that nothing on this machine holds the port of a service. The check covers the address itself, the wildcard
 * address and their IPv6 counterparts, because `localhost` may resolve to those, too.
 *
 * @throws {InfraError} `INFRA_PORT_TAKEN`, naming the container or process that holds the port, if it is known
 */
export async function assertPortFree(check: PortCheck): Promise<void> {
  const { host, port, service, variable } = check
  if (!(await isTaken([host, ...(OF_IPV6[host] ?? [])], port))) {
    return
  }
  throw new InfraError('INFRA_PORT_TAKEN', {
    problem: `Cannot publish service "${service}" on ${host}:${port}: the port is held by ${await describeHolder(check)}`,
    remedy: `Stop it, ${variable ? `set ${variable} to a free port, ` : ''}or leave ${service}.port at 'random'`,
    service,
  })
}

async function describeHolder({ port, containersPublishing }: PortCheck): Promise<string> {
  const containers = (await containersPublishing?.(port).catch(() => [])) ?? []
  if (containers.length > 0) {
    return `container ${containers.map((name) => `"${name}"`).join(' and ')}`
  }
  const holder = await findListeningProcess(port, process.platform)
  return holder === undefined ? 'another program' : `${holder.name} (pid ${holder.pid})`
}

async function isTaken(addresses: readonly string[], port: number): Promise<boolean> {
  for (const address of addresses) {
    // On macOS, an address can be bound while another program holds the wildcard address. Some engines forward ports
    // without binding them. A connection attempt detects both.
    if (!(await canListen(address, port)) || (await canConnect(address, port))) {
      return true
    }
  }
  return false
}

/**
 * Resolves to false if the port is in use. Other failures, such as missing IPv6 or a port below 1024, do not show that
 * the port is in use.
 */
async function canListen(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
