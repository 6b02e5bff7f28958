import { once } from 'node:events'
import { createServer } from 'node:net'
import type { ContainerRuntimeClient } from 'testcontainers'

/** The host of published ports, and the address on the engine's machine to publish them on. */
export interface EngineHost {
  readonly host: string
  readonly bindAddress: string
}

/**
 * An engine on this machine publishes on the loopback only. If `/.dockerenv` exists, Testcontainers uses the bridge's
 * gateway as the engine's host; if that gateway is an address of this machine, the engine is on this machine.
 */
export async function findEngineHost(client: ContainerRuntimeClient): Promise<EngineHost> {
  const { host } = client.info.containerRuntime
  const isHere = host === 'localhost' || (await isOwnAddress(host))
  return isHere ? { host: 'localhost', bindAddress: '127.0.0.1' } : { host, bindAddress: '0.0.0.0' }
}

/** Tries to listen: `os.networkInterfaces()` leaves out a bridge without containers. */
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
