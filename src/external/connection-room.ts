import type { Client } from 'pg'
import { MARK } from '../services/database-names.ts'

/** What a server has left for a run. */
export interface ConnectionRoom {
  readonly maxConnections: number
  /** All but those that others use, or that runs reckon with which came before. */
  readonly available: number
  /** Whether it is enough for this run. */
  readonly hasRoom: boolean
}

/** What a run publishes to the others in the name of its session. */
export interface RunNeeds {
  /** When it came, by the clock of the server. */
  readonly ticket: string
  /** How many connections it reckons with. */
  readonly connections: number
}

/** Every role may read the name of a session, but little else of it. */
export function nameOfRun({ ticket, connections }: RunNeeds): string {
  return `vitest-infra run ${ticket} ${connections}`
}

/**
 * What is left for the run whose session this is. Runs that came before go first, so that none of a crowd is left with
 * too few connections to go on; of those that came after, each has one, to wait.
 */
export async function readConnectionRoom(session: Client, { ticket, connections }: RunNeeds): Promise<ConnectionRoom> {
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
  return { maxConnections: max, available, hasRoom: before === 0 || available >= connections }
}
