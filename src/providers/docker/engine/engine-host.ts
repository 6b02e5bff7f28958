import { once } from 'node:events'
import { createServer } from 'node:net'
import type { ContainerRuntimeClient } from 'testcontainers'

/** Where published ports are reached, and the address on the engine's machine to publish them on. */
export interface EngineHost {
  readonly host: string
  readonly bindAddress: string
}

/**
 * An engine on this machine publishes on the loopback only. Wherever `/.dockerenv` exists, Testcontainers takes the
 * bridge's gateway for the engine's host; a gateway that is an address of this machine shows that the engine is here.
 */
export async function findEngineHost(client: ContainerRuntimeClient): Promise<EngineHost> {
  const { host } = client.info.containerRuntime
  const isHere = host === 'localhost' || (await isOwnAddress(host))
  return isHere ? { host: 'localhost', bindAddress: '127.0.0.1' } : { host, bindAddress: '0.0.0.0' }
}

/** Asked by listening, since `os.networkInterfaces()` leaves out a bridge that no container is attached to yet. */
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
