import { once } from 'node:events'
import { createServer } from 'node:net'
import type { ContainerRuntimeClient } from 'testcontainers'

/** The host of published ports, and the address on the engine's machine on which to publish them. */
export interface EngineHost {
  readonly host: string
  readonly bindAddress: string
}

/**
 * Resolves to the host of published ports. An engine on this machine publishes on the loopback address only.
 *
 * If `/.dockerenv` exists, Testcontainers uses the bridge's gateway as the engine's host. If that gateway is an address
 * of this machine, the engine is on this machine.
 */
export async function findEngineHost(client: ContainerRuntimeClient): Promise<EngineHost> {
  const { host } = client.info.containerRuntime
  const isHere = host === 'localhost' || (await isOwnAddress(host))
  return isHere ? { host: 'localhost', bindAddress: '127.0.0.1' } : { host, bindAddress: '0.0.0.0' }
}

/**
 * Resolves to whether an address belongs to this machine. It tries to listen, because `os.networkInterfaces()` leaves
 * out a bridge without containers.
 */
async function isOwnAddress(host: string): Promise<boolean> {
  const server = createServer().listen({ host, port: 0 })
  try {
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
