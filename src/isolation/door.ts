import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '../services/service.ts'

const LOOPBACK = '127.0.0.1'

/** What a server has to be told before it serves a client, and what it says when it agrees. */
export interface Password {
  readonly request: string
  readonly reply: string
}

/**
 * A port of this process that one lease alone is given, and that leads to a server which lets nobody in without a
 * password: for when the server's own port is known to clients of an earlier lease. Later the port refuses everybody, so
 * that it does not become somebody else's while clients may still come to it.
 */
export class Door {
  readonly address: Address
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isOpen = true

  private constructor(server: Server, target: Address, password: Password) {
    this.#server = server
    this.address = { host: 'localhost', port: (server.address() as AddressInfo).port }
    server.on('error', () => {}).on('connection', (client: Socket) => this.#admit(client, target, password))
    // Neither the listener nor its clients hold up the end of a run.
    server.unref()
  }

  static async open(target: Address, password: Password): Promise<Door> {
    const server = createServer({ noDelay: true })
    await once(server.listen(0, LOOPBACK), 'listening')
    return new Door(server, target, password)
  }

  /** How many clients have come through it and are there. */
  get clients(): number {
    return this.#sockets.size / 2
  }

  /** Cuts everybody off, and refuses those who come back. */
  close(): void {
    this.#isOpen = false
    this.#sockets.forEach((socket) => socket.destroy())
  }

  /** Gives the port up. */
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
    let said = Buffer.alloc(0)
    const hear = (data: Buffer) => {
      said = Buffer.concat([said, data])
      if (said.length < reply.length) {
        return
      }
      server.off('data', hear)
      if (said.subarray(0, reply.length).toString() === reply) {
        client.write(said.subarray(reply.length))
        client.pipe(server)
        server.pipe(client)
      } else {
        server.destroy()
      }
    }
    server.on('data', hear)
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
