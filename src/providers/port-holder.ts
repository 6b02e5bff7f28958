import { createServer } from 'node:net'
import { InfraError } from '../errors.ts'
import { canConnect } from '../internal/can-connect.ts'
import { findListeningProcess } from './listening-process.ts'

/** `localhost` resolves to either. */
const OF_IPV6: Readonly<Record<string, readonly string[]>> = { '127.0.0.1': ['::1'], '0.0.0.0': ['::'] }

export interface PortCheck {
  /** The address that the port is to be published on. */
  readonly host: string
  readonly port: number
  /** The service that wants the port. */
  readonly service: string
  /** The variable that sets the port. */
  readonly variable?: string
  /** The names of the containers that publish a port; asked before the processes, since docker-proxy says nothing. */
  readonly containersPublishing?: (port: number) => Promise<readonly string[]>
}

/**
 * Makes sure that nothing on this machine holds a port that a service is to be published on: neither on the address
 * itself, nor on the wildcard, nor on their counterparts of IPv6, which `localhost` may lead to as well.
 *
 * @throws {InfraError} `INFRA_PORT_TAKEN`, naming the container or the process that holds it, where that can be known
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
    // On macOS an address can be bound although the wildcard is held, and some engines forward ports without holding them.
    if (!(await canListen(address, port)) || (await canConnect(address, port))) {
      return true
    }
  }
  return false
}

/** Any failure but "in use" (no IPv6, a port below 1024) says nothing about a holder. */
async function canListen(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
