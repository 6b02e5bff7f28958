import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** A real server on a Unix socket, closed after the test. */
export async function listenOn(path: string, onConnection: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  await once(server.listen(path), 'listening')
  onTestFinished(() => {
    sockets.forEach((socket) => void socket.destroy())
    server.close()
  })
}

export const staySilent = (socket: Socket): void => void socket.resume()
export const hangUp = (socket: Socket): void => void socket.destroy()
export const answer =
  (text: string) =>
  (socket: Socket): void =>
    void socket.once('data', () => socket.end(text))
