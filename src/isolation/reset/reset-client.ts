import type { Client } from 'pg'
import type { PostgresAddress } from '../../environment/variable-set.ts'
import { InfraError, messageOf } from '../../errors.ts'
import { openPostgres } from '../../services/postgres.ts'
import { sqlState } from '../../services/postgres-admin.ts'
import { describeTransactions, transactionOpen } from './open-transactions.ts'

const LOCK_NOT_AVAILABLE = '55P03'
const DEADLOCK_DETECTED = '40P01'

/** Values as text must be read back as what they were, and rows come in the order in which they are stored. */
const SETTINGS = {
  // Triggers, rules and foreign keys of the user rest.
  session_replication_role: 'replica',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  synchronize_seqscans: 'off',
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  client_min_messages: 'warning',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}

/** Runs `work` with a connection to an untouched clone of the template. */
export type OpenPristine = <T>(work: (client: Client) => Promise<T>) => Promise<T>

/** Runs `work` with a connection whose settings do not depend on those of the user's database and role. */
export async function withResetClient<T>(
  address: PostgresAddress,
  { lockTimeoutMs }: { lockTimeoutMs: number },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const settings = Object.entries({ ...SETTINGS, lock_timeout: String(lockTimeoutMs) })
  const options = settings.map(([name, value]) => `-c ${name}=${value}`).join(' ')
  const client = await openPostgres({ ...address, options })
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** What to throw when a reset ended with `error`; asks who is in the way if somebody is. */
export async function resetFailed(client: Client, database: string, error: unknown): Promise<InfraError> {
  if (error instanceof InfraError) {
    return error
  }
  const state = sqlState(error)
  if (state === LOCK_NOT_AVAILABLE || state === DEADLOCK_DETECTED) {
    return transactionOpen(database, await describeTransactions(client).catch(() => []), error)
  }
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: ${messageOf(error)}`,
    remedy: 'Leave isolate at true, so that every file is given a database of its own',
    service: 'postgres',
    cause: error,
  })
}
