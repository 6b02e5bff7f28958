import { once } from 'node:events'
import { connect } from 'node:net'
import type {} from 'vitest'
import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError, type InfraErrorCode, messageOf } from '../errors.ts'
import { type Answer, encodeMessage, type Failure, readMessages, RequestClient } from '../internal/requests.ts'
import type { AcquireRequest, FailedTest, LeasedService, LogExcerpt, ServerAction } from './lease-source.ts'

/** How a worker reaches the lease server. The main process provides it to the worker. */
export interface LeaseAccess {
  /** Path of the Unix socket or named pipe. */
  readonly socket: string
  /** The project whose variables and template apply. */
  readonly project: string
  /**
   * Whether a lease lasts for one file or as long as its worker. A worker that keeps the user's modules between files
   * also keeps its lease, and resets it.
   */
  readonly lifetime: 'file' | 'worker'
  /** The services from which each file of the project leases a database or server. */
  readonly wants: readonly LeasedService[]
  /** The template from which the database of a file is cloned. */
  readonly template: string
  /** Whether a file gets the data that the previous file left (`isolation: 'worker'`). */
  readonly reuse: boolean
}

declare module 'vitest' {
  interface ProvidedContext {
    'infra:lease': LeaseAccess | undefined
    /** Why the project has no services; undefined unless their start failed. */
    'infra:failure': Failure | undefined
    /** The values of the project's variables before the run, for a project without services. */
    'infra:before': Readonly<Record<string, string | undefined>>
  }
}

/** A granted lease, with its addresses and the environment variables that contain them. */
export interface Lease {
  /** The number of the lease, which identifies it in requests. */
  readonly lease: number
  readonly template: string
  readonly facts: StackFacts
  readonly env: Readonly<Record<string, string>>
}

/**
 * The requests that a worker can send. They accept only leases of the worker's own connection, which end when it
 * closes.
 */
export interface LeaseMethods {
  acquire(request: AcquireRequest): Promise<Lease>
  /** Begins the use of a lease that was acquired ahead of its test. Resolves when the limit allows one more lease. */
  begin(lease: number, owner: string, test: string): Promise<void>
  /**
   * Controls the server of a lease. Resolves when the action is complete and the server answers, unless it is stopped
   * or paused.
   */
  control(lease: number, service: LeasedService, action: ServerAction): Promise<void>
  /** Reports that the file has ended and the next one has not begun, while the worker keeps the lease. */
  idle(lease: number): Promise<void>
  /**
   * Resets the leased items to the state of new ones for the file `owner`. The previous file ended `idleMs`
   * milliseconds ago.
   */
  reset(lease: number, owner: string, idleMs?: number): Promise<void>
  /** Reports the variables of its lease that a file's code has changed before its tests ran. */
  changed(lease: number, owner: string, variables: readonly ChangedVariable[]): Promise<void>
  /**
   * Reports that the file has ended while its worker continues. `processes` are the ids of its child processes that
   * still run.
   */
  finish(lease: number, owner: string, processes?: readonly number[]): Promise<void>
  /** Reports failed tests; call it before the release. Resolves to the server's log about each of the tests. */
  failed(lease: number, failure: FailedTests): Promise<readonly LogExcerpt[]>
  release(lease: number): Promise<void>
}

export interface FailedTests {
  readonly owner: string
  /** Whether to retain the database. Has no effect unless the stack outlives the run. */
  readonly retain: boolean
  readonly tests: readonly FailedTest[]
}

/** A message to workers that is not an answer: the stack has lost a server, and everything that was leased from it. */
export interface LossNotice {
  readonly lost: Failure
  /** Whether a new server replaces the lost one, so that workers can lease again. */
  readonly comesBack: boolean
}

/**
 * A worker's connection to the lease server. The worker's leases end when the connection closes, at the latest when the
 * worker exits.
 */
export interface LeaseClient extends LeaseMethods {
  /**
   * Throws if the stack has lost a server.
   *
   * @throws InfraError `INFRA_SERVICE_LOST`
   */
  assertNothingLost(): void
  /**
   * Allows requests again after a loss. Call it before you acquire new leases. Has no effect if no new server replaces
   * the lost one.
   */
  forgetLoss(): void
}

const CLOSED: Failure = { message: 'Cannot lease a database: the main process ended the connection' }

/**
 * Connects to the lease server at `path`.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if nothing listens at `path`
 */
export async function openLeaseClient(path: string): Promise<LeaseClient> {
  const socket = connect(path)
  await once(socket, 'connect').catch((error: unknown) => {
    throw leaseError({ message: `Cannot reach the main process at ${path}: ${messageOf(error)}` })
  })
  let loss: { readonly error: InfraError; readonly comesBack: boolean } | undefined
  const assertNothingLost = () => {
    if (loss) {
      throw loss.error
    }
  }
  const forgetLoss = () => {
    loss = loss?.comesBack ? undefined : loss
  }
  const requests = new RequestClient<LeaseClient>(
    {
      send(request) {
        assertNothingLost()
        return !socket.closed && (socket.write(encodeMessage(request)), true)
      },
      hold: (isAwaited) => void (isAwaited ? socket.ref() : socket.unref()),
      closed: CLOSED,
      toError: leaseError,
    },
    { assertNothingLost, forgetLoss },
  )
  readMessages(socket, (message) => {
    if ('lost' in message) {
      const { lost, comesBack } = message as LossNotice
      const error = errorForAll(lost)
      loss = { error, comesBack }
      requests.rejectAll(error)
    } else {
      requests.receive(message as Answer)
    }
  })
  socket.on('error', () => {}).on('close', () => requests.close())
  return requests.remote
}

/** Converts a failure in the main process into an error of this process. */
function leaseError({ message, code }: Failure): InfraError {
  const [problem = '', ...rest] = message.split('\n')
  return new InfraError((code ?? 'INFRA_LEASE_FAILED') as InfraErrorCode, {
    problem,
    detail: rest.slice(0, -1).join('\n'),
    remedy: rest.at(-1) ?? 'Read the lines of infra above; the run was ending, or the stack is gone',
  })
}

/**
 * Returns an error with which all tests fail. It has no stack trace, so it is the same for all tests and Vitest prints
 * it once.
 */
export function errorForAll(failure: Failure): InfraError {
  const error = leaseError(failure)
  error.stack = `${error.name}: ${error.message}`
  return error
}
