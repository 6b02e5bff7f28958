import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const HOST = '127.0.0.1'

/**
 * The range is below the ports of outgoing connections (from 32768, or from 49152), because such a connection could
 * take a reserved port.
 */
const LOWEST = 15_000
const HIGHEST = 32_000
const ATTEMPTS = 200

/**
 * Reserves free TCP ports of this machine before anything listens on them. The UDP port of the same number is the lock:
 * the system assigns it to one process only, and frees it when that process exits.
 */
export class PortReservations {
  readonly #held: Socket[] = []

  async reserve(count: number): Promise<readonly number[]> {
    const ports: number[] = []
    for (let attempt = 0; ports.length < count && attempt < ATTEMPTS + count; attempt += 1) {
      const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
      if (await this.#hold(port)) {
        ports.push(port)
      }
    }
    if (ports.length < count) {
      throw new Error(`only ${ports.length} of ${count} free ports could be found from ${LOWEST} to ${HIGHEST}`)
    }
    return ports
  }

  async #hold(port: number): Promise<boolean> {
    const mark = createSocket('udp4')
    mark.bind({ port, address: HOST, exclusive: true })
    // Rejects if another process holds the UDP port.
    const isOurs = await once(mark, 'listening').then(
      () => isFree(port),
      () => false,
    )
    if (isOurs) {
      this.#held.push(mark)
    } else {
      mark.on('error', () => {}).close()
    }
    return isOurs
  }
}

async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
