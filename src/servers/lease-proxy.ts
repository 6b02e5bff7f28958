import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '../services/service.ts'

const LOOPBACK = '127.0.0.1'

/** The request that authenticates at a server with a password, and the reply that confirms it. */
export interface Password {
  readonly request: string
  readonly reply: string
}

/**
 * A TCP proxy for one lease, in front of a server with a password. Clients of an earlier lease know the server's own
 * port, but neither the password nor the proxy's port. After the lease, the port stays open and refuses every client.
 * Thus no other program can bind the port while clients may still connect to it.
 */
export class LeaseProxy {
  readonly address: Address
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isOpen = true

  private constructor(server: Server, target: Address, password: Password) {
    this.#server = server
    this.address = { host: 'localhost', port: (server.address() as AddressInfo).port }
    server.on('error', () => {}).on('connection', (client: Socket) => this.#admit(client, target, password))
    // Neither the listener nor its clients keep the process alive.
    server.unref()
  }

  static async open(target: Address, password: Password): Promise<LeaseProxy> {
    const server = createServer({ noDelay: true })
    await once(server.listen(0, LOOPBACK), 'listening')
    return new LeaseProxy(server, target, password)
  }

  /** Number of connected clients. */
  get clients(): number {
    return this.#sockets.size / 2
  }

  /** Disconnects all clients and refuses new ones; the port stays open. */
  close(): void {
    this.#isOpen = false
    this.#sockets.forEach((socket) => socket.destroy())
  }

  /** Disconnects all clients and closes the port. */
  end(): void {
    this.close()
    this.#server.close()
  }

  #admit(client: Socket, target: Address, { request, reply }: Password): void {
    client.on('error', () => {})
    if (!this.#isOpen) {
      client.destroy()
      return
    }
    const server = connect({ ...target, noDelay: true })
    this.#watch(client, server)
    this.#watch(server, client)
    server.write(request)
    let received = Buffer.alloc(0)
    const onReply = (data: Buffer) => {
      received = Buffer.concat([received, data])
      if (received.length < reply.length) {
        return
      }
      server.off('data', onReply)
      if (received.subarray(0, reply.length).toString() === reply) {
        client.write(received.subarray(reply.length))
        client.pipe(server)
        server.pipe(client)
      } else {
        server.destroy()
      }
    }
    server.on('data', onReply)
  }

  #watch(socket: Socket, other: Socket): void {
    this.#sockets.add(socket)
    socket.unref()
    socket
      .on('error', () => {})
      .once('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
  }
}
