import { connect } from 'node:net'

const TIMEOUT_MS = 500

/** Whether something listens on a port. */
export async function canConnect(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port })
  socket.setTimeout(TIMEOUT_MS, () => resolve(false))
  // A socket can connect to itself if nothing listens on the port.
  socket.once('connect', () => resolve(socket.localPort !== port)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
