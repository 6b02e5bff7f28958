import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'
import type { ConnectionBudget } from './connection-budget.ts'
import { sqlState } from '../services/postgres-admin.ts'
import { RunClaim, type RunClaimOptions } from './run-claim.ts'

const TOO_MANY_CONNECTIONS = '53300'

/** Timeout of the wait for connections. Earlier runs may take minutes, so the wait is reported. */
const CONNECTIONS_TIMEOUT_MS = 5 * 60_000
const POLL_MS = 200

export interface WaitOptions {
  readonly clock: Clock
  readonly report: Report
  readonly signal: AbortSignal
}

/** Resolves once the server has enough connections for this run. */
export async function awaitConnections(
  claim: Pick<RunClaim, 'readBudget'>,
  { clock, report, signal }: WaitOptions,
): Promise<ConnectionBudget> {
  const deadlineMs = clock.now() + CONNECTIONS_TIMEOUT_MS
  for (let isReported = false; ; isReported = true) {
    const budget = await claim.readBudget()
    if (budget.isSufficient) {
      return budget
    }
    if (clock.now() > deadlineMs) {
      throw connectionsExhausted(budget)
    }
    if (!isReported) {
      report({ type: 'capacity-waiting', service: 'postgres', reason: describeBudget(budget) })
    }
    await clock.sleep(POLL_MS, signal)
  }
}

/** Claims a run's id. Retries while other clients use all connections that are not reserved. */
export async function holdWhenPossible(
  address: PostgresAddress,
  options: RunClaimOptions & Pick<WaitOptions, 'signal'>,
): Promise<RunClaim> {
  const deadlineMs = options.clock.now() + CONNECTIONS_TIMEOUT_MS
  for (;;) {
    try {
      return await RunClaim.hold(address, options)
    } catch (error) {
      if (sqlState(error) !== TOO_MANY_CONNECTIONS || options.clock.now() > deadlineMs) {
        throw error
      }
      await options.clock.sleep(POLL_MS, options.signal)
    }
  }
}

function describeBudget({ maxConnections, available }: ConnectionBudget): string {
  return `of ${maxConnections} connections, other clients and earlier runs leave only ${Math.max(0, available)}`
}

function connectionsExhausted(budget: ConnectionBudget): InfraError {
  return new InfraError('INFRA_LEASE_LIMIT', {
    problem: `Cannot lease databases of PostgreSQL: ${describeBudget(budget)}, for ${CONNECTIONS_TIMEOUT_MS / 60_000} minutes`,
    remedy: 'Raise max_connections of the server, or lower maxWorkers',
    service: 'postgres',
    provider: 'external',
  })
}
