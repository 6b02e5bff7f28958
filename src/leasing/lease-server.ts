import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { namePipe, SOCKET, TEMPORARY_FOLDER } from '../internal/names.ts'
import { InfraError, messageOf } from '../errors.ts'
import { encodeMessage, serveRequests } from '../internal/requests.ts'
import type { LeaseBroker, WorkerLeases } from './lease-broker.ts'
import type { LossNotice } from './lease-client.ts'
import { sweepSockets } from './sweep-sockets.ts'

/** The server from which workers request leases. The leases of a connection end when it closes. */
export class LeaseServer {
  /** Path of the Unix socket or named pipe. */
  readonly path: string
  readonly #server: Server
  readonly #folder: string | undefined
  readonly #workers = new Map<Socket, WorkerLeases>()
  #loss: LossNotice | undefined

  private constructor(server: Server, path: string, folder: string | undefined) {
    this.#server = server
    this.path = path
    this.#folder = folder
  }

  static async open(broker: LeaseBroker): Promise<LeaseServer> {
    // Other users of this machine cannot reach a socket in a folder of mode 0700.
    const folder = process.platform === 'win32' ? undefined : await makeFolder(join(tmpdir(), TEMPORARY_FOLDER))
    const path = folder ? join(folder, SOCKET) : namePipe(randomBytes(8).toString('hex'))
    const server = createServer((socket) => leaseServer.#serve(socket, broker))
    const leaseServer = new LeaseServer(server, path, folder)
    await once(server.listen(path), 'listening')
    // If the server cannot accept a connection, the worker reports the failure.
    server.on('error', () => {})
    // The open socket must not keep the process alive after Vitest has finished.
    server.unref()
    // Runs in the background, because no test depends on it.
    void sweepSockets(tmpdir()).catch(() => {})
    return leaseServer
  }

  /**
   * Reports to workers that the stack has lost a server. If a new server replaces it, only workers with leases get the
   * report. Otherwise all workers get it, including those that connect later.
   */
  reportLoss({ message, code }: InfraError, { comesBack }: { readonly comesBack: boolean }): void {
    const notice: LossNotice = { lost: { message, code }, comesBack }
    this.#loss = comesBack ? undefined : notice
    for (const [socket, { leases }] of this.#workers) {
      if (!comesBack || leases.size > 0) {
        socket.write(encodeMessage(notice))
      }
    }
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#workers.keys()) {
      socket.destroy()
    }
    if (this.#folder) {
      await rm(this.#folder, { recursive: true, force: true })
    }
  }

  #serve(socket: Socket, broker: LeaseBroker): void {
    const closed = new AbortController()
    const worker = broker.connect(closed.signal)
    this.#workers.set(socket, worker)
    socket.unref()
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#workers.delete(socket)
      closed.abort()
    })
    if (this.#loss) {
      socket.write(encodeMessage(this.#loss))
    }
    serveRequests(socket, worker.methods)
  }
}

async function makeFolder(prefix: string): Promise<string> {
  try {
    return await mkdtemp(prefix)
  } catch (error) {
    throw new InfraError('INFRA_LEASE_FAILED', {
      problem: `Cannot make a folder for the socket on which tests lease: ${messageOf(error)}`,
      remedy: 'Set TMPDIR to a folder that this process may write to, or unset it',
      cause: error,
    })
  }
}
