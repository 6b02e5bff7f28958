import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { InfraError, messageOf } from '../errors.ts'
import type { LeaseBroker } from './lease-broker.ts'
import { encodeMessage, type Lease, type LeaseAnswer, type LeaseRequest } from './lease-protocol.ts'

interface Conversation {
  readonly socket: Socket
  readonly broker: LeaseBroker
  /** What was leased on this connection. */
  readonly leases: Set<number>
}

/** The main process's side of the control socket: a lease ends with the connection that asked for it. */
export class LeaseServer {
  /** Path of the Unix socket or named pipe. */
  readonly path: string
  readonly #server: Server
  readonly #folder: string | undefined
  readonly #connections = new Set<Socket>()

  private constructor(server: Server, path: string, folder: string | undefined) {
    this.#server = server
    this.path = path
    this.#folder = folder
  }

  static async open(broker: LeaseBroker): Promise<LeaseServer> {
    // A folder of mode 0700 keeps other users of this machine out.
    const folder = process.platform === 'win32' ? undefined : await mkdtemp(join(tmpdir(), 'vitest-infra-'))
    const path = folder ? join(folder, 'lease.sock') : `\\\\.\\pipe\\vitest-infra-${randomBytes(8).toString('hex')}`
    const server = createServer((socket) => leaseServer.#serve(socket, broker))
    const leaseServer = new LeaseServer(server, path, folder)
    await once(server.listen(path), 'listening')
    // The run ends when Vitest is done, not when somebody closes this socket.
    server.unref()
    return leaseServer
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#connections) {
      socket.destroy()
    }
    if (this.#folder) {
      await rm(this.#folder, { recursive: true, force: true })
    }
  }

  #serve(socket: Socket, broker: LeaseBroker): void {
    const leases = new Set<number>()
    this.#connections.add(socket)
    socket.unref()
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#connections.delete(socket)
      leases.forEach((lease) => broker.release(lease))
      leases.clear()
    })
    createInterface({ input: socket }).on('line', (line) => {
      void this.#answer(JSON.parse(line) as LeaseRequest, { socket, broker, leases })
    })
  }

  async #answer(request: LeaseRequest, { socket, broker, leases }: Conversation): Promise<void> {
    const message = await answer(request, broker, leases)
    if (socket.destroyed) {
      // Granted too late: whoever asked is gone.
      leases.forEach((lease) => broker.release(lease))
      leases.clear()
    } else {
      socket.write(encodeMessage(message))
    }
  }
}

async function answer(request: LeaseRequest, broker: LeaseBroker, leases: Set<number>): Promise<LeaseAnswer> {
  const { id } = request
  try {
    return { id, lease: await perform(request, broker, leases) }
  } catch (error) {
    return { id, error: { message: messageOf(error), ...(error instanceof InfraError && { code: error.code }) } }
  }
}

async function perform(request: LeaseRequest, broker: LeaseBroker, leases: Set<number>): Promise<Lease | undefined> {
  switch (request.type) {
    case 'acquire': {
      const lease = await broker.acquire(request)
      leases.add(lease.lease)
      return lease
    }
    case 'reset':
      await broker.reset(request.lease)
      return undefined
    case 'finish':
      await broker.finish(request.lease, request.owner)
      return undefined
    case 'release':
      // Nobody gives back what somebody else leased.
      if (leases.delete(request.lease)) {
        broker.release(request.lease)
      }
      return undefined
    default:
      return request satisfies never
  }
}
