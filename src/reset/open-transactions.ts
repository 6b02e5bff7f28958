import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { sqlState } from '../services/postgres-admin.ts'
import { thisDatabase } from './catalogs.ts'

const POLL_MS = 10
const SESSIONS_NAMED = 3
/** SQLSTATE codes of `lock_not_available` and `deadlock_detected`. */
const LOCK_FAILURES = ['55P03', '40P01']

export interface TransactionWait {
  readonly database: string
  readonly clock: Clock
  readonly waitMs: number
}

/**
 * Waits until no session of the database has an open transaction with writes, and rolls back prepared transactions.
 * Returns a transaction id; every later change has this id or a higher one.
 */
export async function awaitTransactions(client: Client, { database, clock, waitMs }: TransactionWait): Promise<string> {
  const deadlineMs = clock.now() + waitMs
  for (;;) {
    // The snapshot is taken before the sessions are listed. If none of them writes, every transaction before the
    // snapshot is complete.
    const { rows } = await client.query<{ from: string; writers: number; prepared: string[] }>(
      `SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text AS "from",
         ARRAY(SELECT gid FROM pg_prepared_xact() WHERE dbid = ${thisDatabase()}) AS prepared,
         (SELECT count(*)::int FROM pg_stat_get_activity(NULL) WHERE backend_xid IS NOT NULL AND ${IS_USER_SESSION}) AS writers`,
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

/** Turns a lock failure into an error that names the open transactions; returns any other error unchanged. */
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

/** Lists sessions with an open transaction, one per line, the oldest first. */
async function describeTransactions(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string; state: string; seconds: number; query: string }>(
    `SELECT application_name AS name, state, query,
       extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
     FROM pg_stat_get_activity(NULL) WHERE xact_start IS NOT NULL AND ${IS_USER_SESSION} ORDER BY xact_start LIMIT ${SESSIONS_NAMED}`,
  )
  return rows
    .map(({ name, state, seconds, query }) => {
      const session = name === '' ? 'a session without application_name' : `"${name}"`
      return `  ${session}: ${state}, in a transaction since ${seconds} s, last query: ${shorten(query)}`
    })
    .join('\n')
}

/**
 * SQL condition for rows of `pg_stat_get_activity()`. This function is faster than the view `pg_stat_activity`, which
 * joins every session with its role and database.
 */
const IS_USER_SESSION = `datid = ${thisDatabase()} AND pid <> pg_backend_pid() AND backend_type NOT LIKE 'autovacuum%'`

function shorten(query: string): string {
  const line = query.replaceAll(/\s+/g, ' ').trim()
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}
