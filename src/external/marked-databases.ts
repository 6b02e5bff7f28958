import { DROPPABLE, OF_RUN, prefixOf } from '../internal/names.ts'
import type { RunClaim } from './run-claim.ts'

/** A database, or a schema used as one, whose name has our mark and whose owner is our role. */
export interface MarkedDatabase {
  readonly name: string
  /** Id of the run that created it; undefined for a template, which all runs share. */
  readonly run: string | undefined
  readonly isSealed: boolean
}

/** The databases that runs have created on a server that others use too. */
export interface Marked {
  /** Lists these databases, the newest first. */
  list(): Promise<readonly MarkedDatabase[]>
  /** Terminates the sessions in the databases of a run, if our role is allowed to. */
  endSessions(runId: string): Promise<void>
  /** Resolves to whether our role may create databases. */
  mayCreate(): Promise<boolean>
}

/** Implements {@link Marked} with databases. */
export class MarkedDatabases implements Marked {
  readonly #claim: Pick<RunClaim, 'query'>

  constructor(claim: Pick<RunClaim, 'query'>) {
    this.#claim = claim
  }

  async list(): Promise<readonly MarkedDatabase[]> {
    const rows = await this.#claim.query<{ name: string; run: string | null; sealed: boolean }>(
      `SELECT datname AS name, substring(datname FROM '${OF_RUN}') AS run, datistemplate AS sealed
       FROM pg_database JOIN pg_roles r ON r.oid = datdba
       WHERE r.rolname = current_user AND datname ~ '${DROPPABLE}'
       ORDER BY pg_database.oid DESC`,
    )
    return rows.map(({ name, run, sealed }) => ({ name, run: run ?? undefined, isSealed: sealed }))
  }

  async endSessions(runId: string): Promise<void> {
    await this.#claim.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE starts_with(datname, $1) AND pg_has_role(usesysid, 'MEMBER') AND pid <> pg_backend_pid()`,
      [prefixOf(runId)],
    )
  }

  async mayCreate(): Promise<boolean> {
    const [role] = await this.#claim.query<{ may: boolean }>(
      'SELECT rolsuper OR rolcreatedb AS may FROM pg_roles WHERE rolname = current_user',
    )
    return role?.may === true
  }
}
