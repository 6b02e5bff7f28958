import type { Client, QueryResult, QueryResultRow } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { openPostgres } from '../services/postgres.ts'

/** Session settings for a reset. Text output must be exact and unambiguous, and rows must be read in stored order. */
const SETTINGS = {
  // Disables the user's triggers, rules and foreign keys in this session.
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

/** Runs `work` with a connection whose settings do not depend on the settings of the user's database and role. */
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

/**
 * Sends many small queries at once and returns their rows in the same order. A single UNION would be several times
 * slower: its planning time grows with the square of the number of queries.
 */
export async function selectEach<T extends QueryResultRow>(
  client: Client,
  queries: readonly string[],
): Promise<readonly (readonly T[])[]> {
  if (queries.length === 0) {
    return []
  }
  const results: unknown = await client.query(queries.join('; '))
  return [results].flat().map((result) => (result as QueryResult<T>).rows)
}
