import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'
import type { ConnectionRoom } from './connection-room.ts'
import { sqlState } from '../services/postgres-admin.ts'
import { RunClaim, type RunClaimOptions } from './run-claim.ts'

const TOO_MANY_CONNECTIONS = '53300'

/** Earlier runs may take a while; the wait is reported. */
const PATIENCE_MS = 5 * 60_000
const POLL_MS = 200

export interface RoomOptions {
  readonly clock: Clock
  readonly report: Report
  readonly signal: AbortSignal
}

/** Waits until the connections of a server suffice for a run, too. */
export async function awaitRoom(
  claim: Pick<RunClaim, 'readRoom'>,
  { clock, report, signal }: RoomOptions,
): Promise<ConnectionRoom> {
  const deadlineMs = clock.now() + PATIENCE_MS
  for (let isTold = false; ; isTold = true) {
    const room = await claim.readRoom()
    if (room.hasRoom) {
      return room
    }
    if (clock.now() > deadlineMs) {
      throw noRoom(room)
    }
    if (!isTold) {
      report({ type: 'room-waiting', service: 'postgres', reason: describeRoom(room) })
    }
    await clock.sleep(POLL_MS, signal)
  }
}

/** Claims a run's id where others may have all connections but the reserved ones for a moment. */
export async function holdWhenPossible(
  place: PostgresAddress,
  options: RunClaimOptions & Pick<RoomOptions, 'signal'>,
): Promise<RunClaim> {
  const deadlineMs = options.clock.now() + PATIENCE_MS
  for (;;) {
    try {
      return await RunClaim.hold(place, options)
    } catch (error) {
      if (sqlState(error) !== TOO_MANY_CONNECTIONS || options.clock.now() > deadlineMs) {
        throw error
      }
      await options.clock.sleep(POLL_MS, options.signal)
    }
  }
}

function describeRoom({ maxConnections, available }: ConnectionRoom): string {
  return `of ${maxConnections} connections, others and runs that came before leave ${Math.max(0, available)}`
}

function noRoom(room: ConnectionRoom): InfraError {
  return new InfraError('INFRA_LEASE_LIMIT', {
    problem: `Cannot lease databases of PostgreSQL: ${describeRoom(room)}, for ${PATIENCE_MS / 60_000} minutes`,
    remedy: 'Raise max_connections of the server, or lower maxWorkers',
    service: 'postgres',
    provider: 'external',
  })
}
