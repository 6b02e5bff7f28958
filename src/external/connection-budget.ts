import type { Client } from 'pg'
import { OUR_APPLICATIONS, MARK, OF_RUN_APPLICATION } from '../internal/names.ts'

/** The connections of a server that a run may use. */
export interface ConnectionBudget {
  readonly maxConnections: number
  /** Number of connections that are neither in use by other clients nor announced by earlier runs. */
  readonly available: number
  /** Whether the connections suffice for this run to start. */
  readonly isSufficient: boolean
}

/** Data that a run announces to other runs through `application_name`. */
export interface RunNeeds {
  /** When the run started, in microseconds by the server's clock. */
  readonly ticket: string
  /** Number of connections that the run needs. */
  readonly connections: number
}

/**
 * Reads the budget of the run that owns `session`. Earlier runs take precedence, so that at least one run always has
 * enough connections to finish. Each later run counts as the single connection on which it waits.
 */
export async function readConnectionBudget(
  session: Client,
  { ticket, connections }: RunNeeds,
): Promise<ConnectionBudget> {
  const { rows } = await session.query<Record<'max' | 'reserved' | 'others' | 'before' | 'after', number>>(
    `WITH sessions AS (SELECT pid, datname, application_name AS name,
           (regexp_match(application_name, '${OF_RUN_APPLICATION}'))::bigint[] AS run
         FROM pg_stat_activity WHERE datname IS NOT NULL)
       SELECT current_setting('max_connections')::int AS max,
         (SELECT sum(setting::int)::int FROM pg_settings
           WHERE name IN ('superuser_reserved_connections', 'reserved_connections')) AS reserved,
         count(*) FILTER (WHERE name NOT LIKE '${OUR_APPLICATIONS}' AND NOT starts_with(datname, '${MARK}'))::int AS others,
         coalesce(sum(run[2]) FILTER (WHERE (run[1], pid) < ($1, pg_backend_pid())), 0)::int AS before,
         count(*) FILTER (WHERE (run[1], pid) > ($1, pg_backend_pid()))::int AS after
       FROM sessions`,
    [ticket],
  )
  const { max = 0, reserved = 0, others = 0, before = 0, after = 0 } = rows[0] ?? {}
  const available = max - reserved - others - before - after
  return { maxConnections: max, available, isSufficient: before === 0 || available >= connections }
}
