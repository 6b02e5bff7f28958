import { OF_RUN, prefixOf } from '../services/database-names.ts'
import type { Marked, MarkedDatabase } from './marked-databases.ts'
import type { RunClaim } from './run-claim.ts'

/** Schemas of the database that the claim is held in. */
export class MarkedSchemas implements Marked {
  readonly #claim: Pick<RunClaim, 'query'>

  constructor(claim: Pick<RunClaim, 'query'>) {
    this.#claim = claim
  }

  async list(): Promise<readonly MarkedDatabase[]> {
    const rows = await this.#claim.query<{ name: string; run: string }>(
      `SELECT nspname AS name, substring(nspname FROM '${OF_RUN}') AS run
       FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner
       WHERE r.rolname = current_user AND nspname ~ '${OF_RUN}.+'
       ORDER BY pg_namespace.oid DESC`,
    )
    return rows.map((schema) => ({ ...schema, isSealed: false }))
  }

  /** Only a session that holds a lock on something is known to use its schema. */
  async endSessions(runId: string): Promise<void> {
    await this.#claim.query(END_USERS_OF_RUN, [prefixOf(runId)])
  }

  async mayCreate(): Promise<boolean> {
    const [database] = await this.#claim.query<{ may: boolean }>(
      "SELECT has_database_privilege(current_database(), 'CREATE') AS may",
    )
    return database?.may === true
  }
}

/** The name of the sessions that make and drop schemas. */
export const ADMINISTRATION = 'vitest-infra schemas'

/** Ends the sessions that hold or wait for a lock on something in schemas, but for our own. */
const endUsers = (schemas: string) => `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE pid <> pg_backend_pid() AND pg_has_role(usesysid, 'MEMBER') AND application_name <> '${ADMINISTRATION}'
    AND pid IN (SELECT l.pid FROM pg_locks l
      JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND ${schemas})`

/** In the schemas whose names begin with `$1`. */
const END_USERS_OF_RUN = endUsers('starts_with(n.nspname, $1)')

/** In the schema of the name `$1`. */
export const END_USERS_OF_SCHEMA = endUsers('n.nspname = $1')
