import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { ChangedVariable } from '../environment/changed-variables.ts'
import { InfraError, type InfraErrorCode, messageOf } from '../errors.ts'
import {
  encodeMessage,
  type FailedTest,
  type Lease,
  type LeaseAnswer,
  type LeasedService,
  type LeaseRequest,
  type LogExcerpt,
  type LossNotice,
  readMessages,
  type Refusal,
  type ServerAction,
} from './lease-protocol.ts'

const ENDED: Refusal = { message: 'Cannot lease a database: the main process ended the connection' }

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never
type Granted = Exclude<LeaseAnswer, { readonly error: unknown }>

/** A worker's side of the control socket. Its leases end with the connection, and so with the worker. */
export class LeaseClient {
  readonly #socket: Socket
  readonly #waiting = new Map<number, PromiseWithResolvers<Granted>>()
  #nextId = 1
  #loss: InfraError | undefined
  #comesBack = false

  private constructor(socket: Socket) {
    this.#socket = socket
    readMessages(socket, (message) => this.#hear(message as LeaseAnswer | LossNotice))
    socket.on('error', () => {})
    socket.on('close', () => this.#fail(leaseRefused(ENDED)))
  }

  static async open(path: string): Promise<LeaseClient> {
    const socket = connect(path)
    await once(socket, 'connect').catch((error: unknown) => {
      throw leaseRefused({ message: `Cannot reach the main process at ${path}: ${messageOf(error)}` })
    })
    return new LeaseClient(socket)
  }

  /**
   * Throws once a server of the stack is gone.
   *
   * @throws InfraError `INFRA_SERVICE_LOST`
   */
  assertNothingLost(): void {
    if (this.#loss) {
      throw this.#loss
    }
  }

  /** To be called before something is leased in place of all that went with a server; unless that is gone for good. */
  forgetLoss(): void {
    this.#loss = this.#comesBack ? undefined : this.#loss
  }

  async acquire(request: Omit<LeaseRequest & { type: 'acquire' }, 'id' | 'type'>): Promise<Lease> {
    const { lease } = await this.#ask({ type: 'acquire', ...request })
    if (!lease) {
      throw new TypeError('The lease server answered without a lease')
    }
    return lease
  }

  /** Says that the test begins for which something was acquired ahead; resolves when there is room for it. */
  async begin(lease: number, owner: string, test: string): Promise<void> {
    await this.#ask({ type: 'begin', lease, owner, test })
  }

  /** Does something to the server of a lease; resolves when it is done, and the server answers if it is to. */
  async control(lease: number, service: LeasedService, action: ServerAction): Promise<void> {
    await this.#ask({ type: 'control', lease, service, action })
  }

  /** Says that the file is over and no other has begun, although the lease stays. */
  async idle(lease: number): Promise<void> {
    await this.#ask({ type: 'idle', lease })
  }

  /** Makes what was leased new for the file `owner`; the one before has been over for `idleMs`. */
  async reset(lease: number, owner: string, idleMs = 0): Promise<void> {
    await this.#ask({ type: 'reset', lease, owner, idleMs })
  }

  /** Says that the code of a file has changed variables of its lease. */
  async changed(lease: number, owner: string, variables: readonly ChangedVariable[]): Promise<void> {
    await this.#ask({ type: 'changed', lease, owner, variables })
  }

  async finish(lease: number, owner: string, processes: readonly number[] = []): Promise<void> {
    await this.#ask({ type: 'finish', lease, owner, processes })
  }

  /** Says that tests failed in what was leased; resolves to what the server's log has of them. */
  async failed(
    lease: number,
    given: { owner: string; retain: boolean; tests: readonly FailedTest[] },
  ): Promise<readonly LogExcerpt[]> {
    const { logs = [] } = await this.#ask({ type: 'failed', lease, ...given })
    return logs
  }

  async release(lease: number): Promise<void> {
    await this.#ask({ type: 'release', lease })
  }

  async #ask(request: Unnumbered<LeaseRequest>): Promise<Granted> {
    this.assertNothingLost()
    const id = this.#nextId++
    const answer = Promise.withResolvers<Granted>()
    this.#waiting.set(id, answer)
    if (this.#socket.closed) {
      this.#fail(leaseRefused(ENDED))
    } else {
      // Held only while an answer is awaited, so that an idle connection does not keep the worker alive.
      this.#socket.ref()
      this.#socket.write(encodeMessage({ ...request, id }))
    }
    return answer.promise
  }

  #hear(message: LeaseAnswer | LossNotice): void {
    if ('lost' in message) {
      this.#loss = errorForAll(message.lost)
      this.#comesBack = message.comesBack
      this.#fail(this.#loss)
    } else {
      this.#settle(message)
    }
  }

  #settle(answer: LeaseAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) {
      this.#socket.unref()
    }
    if ('error' in answer) {
      waiting?.reject(leaseRefused(answer.error))
    } else {
      waiting?.resolve(answer)
    }
  }

  #fail(reason: InfraError): void {
    this.#waiting.forEach(({ reject }) => reject(reason))
    this.#waiting.clear()
    this.#socket.unref()
  }
}

/** The answer of the main process as the error that it was there. */
function leaseRefused({ message, code }: Refusal): InfraError {
  const [problem = '', ...rest] = message.split('\n')
  return new InfraError((code ?? 'INFRA_LEASE_FAILED') as InfraErrorCode, {
    problem,
    detail: rest.slice(0, -1).join('\n'),
    remedy: rest.at(-1) ?? 'Read the lines of infra above; the run was ending, or the stack is gone',
  })
}

/** An error that every test that comes has: without a trace they are all alike, and Vitest prints it once. */
export function errorForAll(refusal: Refusal): InfraError {
  const error = leaseRefused(refusal)
  error.stack = `${error.name}: ${error.message}`
  return error
}
