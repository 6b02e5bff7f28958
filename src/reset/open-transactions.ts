import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { sqlState } from '../services/postgres-admin.ts'
import { thisDatabase } from './catalogs.ts'

const POLL_MS = 10
const SESSIONS_NAMED = 3
/** `lock_not_available` and `deadlock_detected`. */
const LOCK_FAILURES = ['55P03', '40P01']

export interface TransactionWait {
  readonly database: string
  readonly clock: Clock
  readonly waitMs: number
}

/**
 * Waits until no session of the database is in a transaction that has written, and rolls back prepared ones. Returns
 * the transaction id from which on a change was made after this moment.
 */
export async function awaitTransactions(client: Client, { database, clock, waitMs }: TransactionWait): Promise<string> {
  const deadlineMs = clock.now() + waitMs
  for (;;) {
    // In this order: the snapshot is older than the look at the sessions, so what it counts as done is done.
    const { rows } = await client.query<{ from: string; writers: number; prepared: string[] }>(
      `SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text AS "from",
         ARRAY(SELECT gid FROM pg_prepared_xact() WHERE dbid = ${thisDatabase()}) AS prepared,
         (SELECT count(*)::int FROM pg_stat_get_activity(NULL) WHERE backend_xid IS NOT NULL AND ${IS_OF_USERS}) AS writers`,
    )
    const { from, writers, prepared } = rows[0] ?? { from: '0', writers: 0, prepared: [] }
    if (writers === 0 && prepared.length === 0) {
      return from
    }
    for (const gid of prepared) {
      await client.query(`ROLLBACK PREPARED ${client.escapeLiteral(gid)}`)
    }
    if (clock.now() > deadlineMs) {
      throw await transactionOpen(client, database)
    }
    await clock.sleep(POLL_MS)
  }
}

/** Why a statement failed: for want of a lock, because of a transaction, which is named; else as `error` says. */
export async function explainFailure(client: Client, database: string, error: unknown): Promise<unknown> {
  return LOCK_FAILURES.includes(sqlState(error) ?? '') ? transactionOpen(client, database, error) : error
}

async function transactionOpen(client: Client, database: string, cause?: unknown): Promise<InfraError> {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: a transaction in it does not end`,
    detail: await describeTransactions(client),
    remedy: 'Await every query, and commit or roll back every transaction, before a file ends',
    service: 'postgres',
    cause,
  })
}

/** Sessions that are inside a transaction, one a line, the oldest first. */
async function describeTransactions(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string; state: string; seconds: number; query: string }>(
    `SELECT application_name AS name, state, query,
       extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
     FROM pg_stat_get_activity(NULL) WHERE xact_start IS NOT NULL AND ${IS_OF_USERS} ORDER BY xact_start LIMIT ${SESSIONS_NAMED}`,
  )
  return rows
    .map(({ name, state, seconds, query }) => {
      const session = name === '' ? 'a session without application_name' : `"${name}"`
      return `  ${session}: ${state}, in a transaction since ${seconds} s, last query: ${shorten(query)}`
    })
    .join('\n')
}

/** Of `pg_stat_get_activity()`, which the view is made of: that joins every session with its role and database first. */
const IS_OF_USERS = `datid = ${thisDatabase()} AND pid <> pg_backend_pid() AND backend_type NOT LIKE 'autovacuum%'`

function shorten(query: string): string {
  const line = query.replaceAll(/\s+/g, ' ').trim()
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}
