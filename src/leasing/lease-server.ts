import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InfraError, messageOf } from '../errors.ts'
import { leaseUnknown, type LeaseBroker } from './lease-broker.ts'
import { encodeMessage, type LeaseAnswer, type LeaseRequest, type LossNotice, readMessages } from './lease-protocol.ts'
import { SOCKET_FOLDER, SOCKET_NAME, sweepSockets } from './sweep-sockets.ts'

/** One worker's connection and what was leased on it. */
interface Conversation {
  /** Its identity. */
  readonly worker: number
  readonly socket: Socket
  readonly broker: LeaseBroker
  readonly leases: Set<number>
}

/** The main process's side of the control socket: a lease ends with the connection that asked for it. */
export class LeaseServer {
  /** Path of the Unix socket or named pipe. */
  readonly path: string
  readonly #server: Server
  readonly #folder: string | undefined
  readonly #conversations = new Set<Conversation>()
  #workers = 0
  #loss: LossNotice | undefined

  private constructor(server: Server, path: string, folder: string | undefined) {
    this.#server = server
    this.path = path
    this.#folder = folder
  }

  static async open(broker: LeaseBroker): Promise<LeaseServer> {
    // A folder of mode 0700 keeps other users of this machine out.
    const folder = process.platform === 'win32' ? undefined : await makeFolder(join(tmpdir(), SOCKET_FOLDER))
    const path = folder ? join(folder, SOCKET_NAME) : `\\\\.\\pipe\\vitest-infra-${randomBytes(8).toString('hex')}`
    const server = createServer((socket) => leaseServer.#serve(socket, broker))
    const leaseServer = new LeaseServer(server, path, folder)
    await once(server.listen(path), 'listening')
    // A connection that could not be accepted is its worker's failure, not the run's.
    server.on('error', () => {})
    // The run ends when Vitest is done, not when this socket is closed.
    server.unref()
    // In the background: no test needs it.
    void sweepSockets(tmpdir()).catch(() => {})
    return leaseServer
  }

  /**
   * Reports to all workers, current and future ones, that a server of the stack is gone; of one that comes back, only
   * those who have leased something.
   */
  tellLost({ message, code }: InfraError, { comesBack }: { readonly comesBack: boolean }): void {
    const notice: LossNotice = { lost: { message, code }, comesBack }
    this.#loss = comesBack ? undefined : notice
    for (const { socket, leases } of this.#conversations) {
      if (!comesBack || leases.size > 0) {
        socket.write(encodeMessage(notice))
      }
    }
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const { socket } of this.#conversations) {
      socket.destroy()
    }
    if (this.#folder) {
      await rm(this.#folder, { recursive: true, force: true })
    }
  }

  #serve(socket: Socket, broker: LeaseBroker): void {
    const conversation: Conversation = { worker: (this.#workers += 1), socket, broker, leases: new Set() }
    this.#conversations.add(conversation)
    socket.unref()
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#conversations.delete(conversation)
      broker.forget(conversation.worker)
      releaseAll(conversation)
    })
    if (this.#loss) {
      socket.write(encodeMessage(this.#loss))
    }
    readMessages(socket, (message) => void converse(message as LeaseRequest, conversation))
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

async function converse(request: LeaseRequest, conversation: Conversation): Promise<void> {
  const message = await answer(request, conversation)
  if (conversation.socket.destroyed) {
    // Granted too late: the worker is gone.
    releaseAll(conversation)
  } else {
    conversation.socket.write(encodeMessage(message))
  }
}

function releaseAll({ leases, broker }: Conversation): void {
  leases.forEach((lease) => broker.release(lease, { isUserGone: true }))
  leases.clear()
}

async function answer(request: LeaseRequest, conversation: Conversation): Promise<LeaseAnswer> {
  const { id } = request
  try {
    return { id, ...(await perform(request, conversation)) }
  } catch (error) {
    return { id, error: { message: messageOf(error), ...(error instanceof InfraError && { code: error.code }) } }
  }
}

type Outcome = Omit<LeaseAnswer & { error?: never }, 'id' | 'error'>

async function perform(request: LeaseRequest, { worker, broker, leases }: Conversation): Promise<Outcome> {
  if (request.type === 'acquire') {
    if (request.beside !== undefined && !leases.has(request.beside)) {
      throw leaseUnknown(request.beside)
    }
    const lease = await broker.acquire(request, worker)
    leases.add(lease.lease)
    return { lease }
  }
  // A worker can name only its own leases.
  if (!leases.has(request.lease)) {
    throw leaseUnknown(request.lease)
  }
  switch (request.type) {
    case 'begin':
      await broker.begin(request.lease, request)
      break
    case 'control':
      await broker.control(request.lease, request)
      break
    case 'idle':
      await broker.idle(request.lease)
      break
    case 'reset':
      await broker.reset(request.lease, request)
      break
    case 'changed':
      broker.noteChanged(request.owner, request.variables)
      break
    case 'finish':
      await broker.finish(request.lease, request.owner, request.processes)
      break
    case 'failed':
      return { logs: await broker.failed(request.lease, request) }
    case 'release':
      leases.delete(request.lease)
      broker.release(request.lease, { isUserGone: false })
      break
    default:
      request satisfies never
  }
  return {}
}
