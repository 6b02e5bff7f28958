import { once } from 'node:events'
import { connect } from 'node:net'
import type {} from 'vitest'
import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError, type InfraErrorCode, messageOf } from '../errors.ts'
import { type Answer, encodeMessage, type Failure, readMessages, RequestClient } from '../internal/requests.ts'
import type { AcquireRequest, FailedTest, LeasedService, LogExcerpt, ServerAction } from './lease-source.ts'

/** How a worker reaches the lease server; provided to it by the main process. */
export interface LeaseAccess {
  /** Path of the Unix socket or named pipe. */
  readonly socket: string
  /** The project whose variables and template apply. */
  readonly project: string
  /**
   * How long a lease lasts: for one file, or as long as its worker. A worker that keeps the user's modules between files
   * keeps its lease, too, and resets it.
   */
  readonly lifetime: 'file' | 'worker'
  /** The services from which each file of the project leases a database or server. */
  readonly wants: readonly LeasedService[]
  /** The template that the database of a file is a clone of. */
  readonly template: string
  /** Whether a file finds what the one before it left (`isolation: 'worker'`). */
  readonly reuse: boolean
}

declare module 'vitest' {
  interface ProvidedContext {
    'infra:lease': LeaseAccess | undefined
    /** Why the project has no services, if their start failed. */
    'infra:failure': Failure | undefined
    /** For a project without services: the values that its variables had before the run. */
    'infra:before': Readonly<Record<string, string | undefined>>
  }
}

/** A lease that was granted: addresses, and the variables that contain them. */
export interface Lease {
  /** Its number. */
  readonly lease: number
  readonly template: string
  readonly facts: StackFacts
  readonly env: Readonly<Record<string, string>>
}

/** The requests of a worker. It can name only leases of its own connection, and they end with that. */
export interface LeaseMethods {
  acquire(request: AcquireRequest): Promise<Lease>
  /** For a lease that was acquired ahead of its test, which begins now. Resolves when the limit allows one more. */
  begin(lease: number, owner: string, test: string): Promise<void>
  /** Resolves when the action is complete and the server, unless it is stopped or paused, answers. */
  control(lease: number, service: LeasedService, action: ServerAction): Promise<void>
  /** The file has ended and the next one has not begun, while the worker keeps the lease. */
  idle(lease: number): Promise<void>
  /** Makes the items equal to new ones for the file `owner`. The file before it ended `idleMs` ago. */
  reset(lease: number, owner: string, idleMs?: number): Promise<void>
  /** Before its tests ran, the code of a file has changed variables of its lease. */
  changed(lease: number, owner: string, variables: readonly ChangedVariable[]): Promise<void>
  /** The file has ended while its worker lives on. `processes` are its child processes that still run. */
  finish(lease: number, owner: string, processes?: readonly number[]): Promise<void>
  /** To be called before the release. Resolves to what the server has logged about each of the tests. */
  failed(lease: number, failure: FailedTests): Promise<readonly LogExcerpt[]>
  release(lease: number): Promise<void>
}

export interface FailedTests {
  readonly owner: string
  /** Whether the database is to be retained. Only done if the stack outlives the run. */
  readonly retain: boolean
  readonly tests: readonly FailedTest[]
}

/** Sent to workers unasked: the stack has lost a server, and with it everything that was leased from it. */
export interface LossNotice {
  readonly lost: Failure
  /** Whether a new server takes its place, so that workers can lease again. */
  readonly comesBack: boolean
}

/** A worker's connection to the lease server. Its leases end with the connection, and so with the worker. */
export interface LeaseClient extends LeaseMethods {
  /**
   * Throws if the stack has lost a server.
   *
   * @throws InfraError `INFRA_SERVICE_LOST`
   */
  assertNothingLost(): void
  /** To be called before new leases replace the lost ones. Has no effect if the server does not come back. */
  forgetLoss(): void
}

const CLOSED: Failure = { message: 'Cannot lease a database: the main process ended the connection' }

/** @throws InfraError `INFRA_LEASE_FAILED` if nothing listens at `path` */
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

/** The error of the main process, as an error of this one. */
function leaseError({ message, code }: Failure): InfraError {
  const [problem = '', ...rest] = message.split('\n')
  return new InfraError((code ?? 'INFRA_LEASE_FAILED') as InfraErrorCode, {
    problem,
    detail: rest.slice(0, -1).join('\n'),
    remedy: rest.at(-1) ?? 'Read the lines of infra above; the run was ending, or the stack is gone',
  })
}

/** An error that all tests fail with. Without a stack trace it is the same for all, so Vitest prints it once. */
export function errorForAll(failure: Failure): InfraError {
  const error = leaseError(failure)
  error.stack = `${error.name}: ${error.message}`
  return error
}
