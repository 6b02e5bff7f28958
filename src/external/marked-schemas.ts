import { APPLICATION, OF_RUN, prefixOf } from '../internal/names.ts'
import type { Marked, MarkedDatabase } from './marked-databases.ts'
import type { RunClaim } from './run-claim.ts'

/** Implements {@link Marked} with schemas of the database in which the claim is held. */
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

  /**
   * Terminates only sessions that hold or await a lock in a schema. Other sessions do not reveal which schema they use.
   */
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

/**
 * Returns a statement that terminates all sessions, except our own, that hold or await a lock on a relation in the
 * schemas.
 */
const endUsers = (schemas: string) => `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE pid <> pg_backend_pid() AND pg_has_role(usesysid, 'MEMBER') AND application_name <> '${APPLICATION.schemas}'
    AND pid IN (SELECT l.pid FROM pg_locks l
      JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND ${schemas})`

/** Terminates the sessions that use a schema whose name begins with `$1`. */
const END_USERS_OF_RUN = endUsers('starts_with(n.nspname, $1)')

/** Terminates the sessions that use the schema named `$1`. */
export const END_USERS_OF_SCHEMA = endUsers('n.nspname = $1')
