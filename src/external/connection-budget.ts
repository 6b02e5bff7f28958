import type { Client } from 'pg'
import { MARK } from '../services/database-names.ts'

/** How many connections of a server a run may use. */
export interface ConnectionBudget {
  readonly maxConnections: number
  /** Excludes connections in use by others and those that earlier runs have announced. */
  readonly available: number
  /** Whether this run can start. */
  readonly isSufficient: boolean
}

/** What a run announces to other runs through `application_name`. */
export interface RunNeeds {
  /** When the run arrived, by the server's clock. */
  readonly ticket: string
  /** How many connections it needs. */
  readonly connections: number
}

/** Any role may read the `application_name` of other sessions, and little else of them. */
export function nameOfRun({ ticket, connections }: RunNeeds): string {
  return `vitest-infra run ${ticket} ${connections}`
}

/**
 * Reads the budget of the run that owns `session`. Earlier runs take precedence, so that at least one run always has
 * enough connections to finish; each later run is counted with the one connection it waits on.
 */
export async function readConnectionBudget(
  session: Client,
  { ticket, connections }: RunNeeds,
): Promise<ConnectionBudget> {
  const { rows } = await session.query<Record<'max' | 'reserved' | 'others' | 'before' | 'after', number>>(
    `WITH sessions AS (SELECT pid, datname, application_name AS name,
           (regexp_match(application_name, '^vitest-infra run (\\d+) (\\d+)$'))::bigint[] AS run
         FROM pg_stat_activity WHERE datname IS NOT NULL)
       SELECT current_setting('max_connections')::int AS max,
         (SELECT sum(setting::int)::int FROM pg_settings
           WHERE name IN ('superuser_reserved_connections', 'reserved_connections')) AS reserved,
         count(*) FILTER (WHERE name NOT LIKE 'vitest-infra%' AND NOT starts_with(datname, '${MARK}'))::int AS others,
         coalesce(sum(run[2]) FILTER (WHERE (run[1], pid) < ($1, pg_backend_pid())), 0)::int AS before,
         count(*) FILTER (WHERE (run[1], pid) > ($1, pg_backend_pid()))::int AS after
       FROM sessions`,
    [ticket],
  )
  const { max = 0, reserved = 0, others = 0, before = 0, after = 0 } = rows[0] ?? {}
  const available = max - reserved - others - before - after
  return { maxConnections: max, available, isSufficient: before === 0 || available >= connections }
}
