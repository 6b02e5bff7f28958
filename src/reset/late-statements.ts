import type { Client } from 'pg'
import { thisDatabase } from './catalogs.ts'

/** A statement that reached a database while no test ran. */
export interface LateStatement {
  /** `application_name` of the session, which may be empty. */
  readonly session: string
  readonly query: string
}

/**
 * Returns the last statement of each session of this database that sent one within the last `idleMs`. If no test ran in
 * that time, the statement is from code of an earlier file, such as a timer, a loop or a process.
 */
export async function readLateStatements(client: Client, idleMs: number): Promise<readonly LateStatement[]> {
  const { rows } = await client.query<LateStatement>(
    `SELECT application_name AS session, query FROM pg_stat_get_activity(NULL)
     WHERE datid = ${thisDatabase()} AND pid <> pg_backend_pid() AND backend_type = 'client backend'
       AND query_start > clock_timestamp() - $1 * interval '1 ms'
     ORDER BY query_start`,
    [idleMs],
  )
  return rows
}
