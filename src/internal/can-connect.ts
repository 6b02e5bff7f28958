import { connect } from 'node:net'

const TIMEOUT_MS = 500

/** Resolves to whether a TCP connection to the port succeeds. */
export async function canConnect(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port })
  socket.setTimeout(TIMEOUT_MS, () => resolve(false))
  // If nothing listens on the port, TCP may connect the socket to itself. Its local port then equals `port`.
  socket.once('connect', () => resolve(socket.localPort !== port)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
