import type { Pool, QueryResult } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { DROPPABLE, MARK } from '../internal/names.ts'
import { openPostgres, openPostgresPool } from './postgres.ts'
import { NO_OBJECTS, type PostgresSurvey, type ServerObjects, surveyPostgres } from './postgres-survey.ts'

const MAINTENANCE_DATABASE = 'postgres'
/** SQLSTATE if another client has dropped the database. */
const MISSING_DATABASE = '3D000'
const OBJECT_IN_USE = '55006'
/** SQLSTATE if the database is marked as a template, which cannot be dropped. */
const WRONG_OBJECT_TYPE = '42809'
const WORKING_CONNECTIONS = 3
/** One connection to create databases and one to drop them. */
const SHARED_WORKING_CONNECTIONS = 2

/** The databases of runs and templates. On a server that others use too, no other database is created or dropped. */
const OF_RUNS_AND_TEMPLATES = new RegExp(DROPPABLE)

/** Ignores autovacuum, which stops by itself when a database is cloned or dropped. */
const IS_CLIENT = "backend_type <> 'autovacuum worker'"

const COUNTED_SINCE = 'pg_stat_get_bgwriter_stat_reset_time()::text'

/** Selects, without connecting to a database, whether it had connections or was changed since CREATE DATABASE. */
const SELECT_USE = `SELECT CASE
    WHEN pg_stat_get_db_sessions(d.oid) <> 0 OR pg_stat_get_db_stat_reset_time(d.oid) IS NOT NULL
      OR ${COUNTED_SINCE} IS DISTINCT FROM $2 OR d.datistemplate OR NOT d.datallowconn OR d.datconnlimit <> -1
      OR d.datacl IS NOT NULL OR d.datdba <> current_user::regrole
      OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
      OR EXISTS (SELECT FROM pg_shdescription WHERE objoid = d.oid)
      OR EXISTS (SELECT FROM pg_subscription WHERE subdbid = d.oid)
      OR EXISTS (SELECT FROM pg_replication_slots WHERE datoid = d.oid)
      OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = d.datname) THEN 'used'
    WHEN pg_stat_get_db_numbackends(d.oid) > 0 THEN 'busy'
    ELSE 'none' END AS use
  FROM pg_database d WHERE d.datname = $1`

/**
 * Selects the number of sessions of the database `$1`, and the active time of clients in each database that belongs to
 * no run. Sessions of the latter do not count, because the server's healthcheck connects too. In the database to which
 * we connect ourselves, written rows count, because we write none.
 */
const SELECT_CONNECTIONS = `SELECT datname AS name, datname = $1 AS leased,
    datname = current_database() AS ours, pg_stat_get_db_sessions(oid) AS sessions,
    pg_stat_get_db_active_time(oid) AS "activeMs",
    pg_stat_get_db_tuples_inserted(oid) + pg_stat_get_db_tuples_updated(oid) + pg_stat_get_db_tuples_deleted(oid) AS writes
  FROM pg_database WHERE datname = $1 OR NOT starts_with(datname, '${MARK}')`

/**
 * The state of a template on the server. Sealing is the last step of its build, so the build of an unsealed one was
 * interrupted.
 */
export type TemplateState = 'missing' | 'unsealed' | 'sealed'

interface CountedDatabase {
  readonly name: string
  readonly leased: boolean | null
  readonly ours: boolean
  readonly sessions: string
  readonly activeMs: number
  readonly writes: string
}

export interface DatabaseUse {
  /** Connections to the given database; NaN if none is given or it does not exist. */
  readonly connections: number
  /**
   * The use of each database that belongs to no run: milliseconds in which clients ran statements or, in the database
   * to which we connect, rows written.
   */
  readonly common: ReadonlyMap<string, number>
  /** Connections to the database to which we connect, except those of our pools. */
  readonly others: number
}

export interface PostgresAdminOptions {
  /**
   * Whether others use the server too. If so, only databases that this package named are created or dropped, and fewer
   * connections are opened.
   *
   * @default false
   */
  readonly isShared?: boolean
}

/** Creates, seals and drops databases over separate connections to the maintenance database. */
export class PostgresAdmin {
  /** Address of the server's maintenance database. */
  readonly address: PostgresAddress
  /** For slow statements. It has several connections, so that a clone does not wait for a drop. */
  readonly #working: Pool
  readonly #asking: Pool
  readonly #isShared: boolean
  #countedSince: Promise<string> | undefined
  #connects = 0

  private constructor(address: PostgresAddress, pools: { working: Pool; asking: Pool }, isShared: boolean) {
    this.address = address
    this.#working = pools.working
    this.#asking = pools.asking
    this.#isShared = isShared
    for (const pool of [pools.working, pools.asking]) {
      pool.on('connect', () => (this.#connects += 1))
    }
  }

  static async open(address: PostgresAddress, { isShared = false }: PostgresAdminOptions = {}): Promise<PostgresAdmin> {
    const maintenance = { ...address, database: MAINTENANCE_DATABASE }
    const open = (max: number) => openPostgresPool(maintenance, { max, idleTimeoutMillis: 0 })
    const pools = {
      working: await open(isShared ? SHARED_WORKING_CONNECTIONS : WORKING_CONNECTIONS),
      asking: await open(1),
    }
    return new PostgresAdmin(maintenance, pools, isShared)
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#working.end(), this.#asking.end()])
  }

  /**
   * Creates an empty database or a clone of a template. On our own server, whose data is in memory, FILE_COPY takes a
   * third of the time. A shared server uses its default strategy, because FILE_COPY makes the whole server write a
   * checkpoint twice.
   */
  async createDatabase(name: string, template?: string): Promise<void> {
    this.#assertOurs(name)
    const strategy = this.#isShared ? '' : ' STRATEGY FILE_COPY'
    const source = template === undefined ? '' : ` TEMPLATE ${quote(template)}${strategy}`
    await this.#working.query(`CREATE DATABASE ${quote(name)}${source}`)
  }

  /** Drops a database. Returns whether it is gone: without `force`, it stays while any client is connected to it. */
  async dropDatabase(name: string, { force }: { force: boolean }): Promise<boolean> {
    this.#assertOurs(name)
    // Checked first, because DROP DATABASE waits five seconds for sessions to end before it fails.
    if (!force && (await this.#isInUse(name))) {
      return false
    }
    if (await this.#tryDrop(name, { force })) {
      return true
    }
    // A logical replication slot also prevents the drop, and outlives the session that created it.
    await this.#dropSlots(name)
    return this.#tryDrop(name, { force })
  }

  /** Renames the database `name` to `aside`, and `by` to `name`. Returns false if that is impossible. */
  async swapDatabases(name: string, { by, aside }: { readonly by: string; readonly aside: string }): Promise<boolean> {
    // Checked first, because renaming waits five seconds for sessions to end before it fails.
    if (await this.#isInUse(name)) {
      return false
    }
    // Statements in one query run in one transaction.
    return this.#asking
      .query(
        `ALTER DATABASE ${quote(name)} RENAME TO ${quote(aside)}; ALTER DATABASE ${quote(by)} RENAME TO ${quote(name)}`,
      )
      .then(
        () => true,
        () => false,
      )
  }

  async templateState(name: string): Promise<TemplateState> {
    const { rows } = await this.#asking.query<{ datistemplate: boolean }>(
      'SELECT datistemplate FROM pg_database WHERE datname = $1',
      [name],
    )
    return rows[0] === undefined ? 'missing' : rows[0].datistemplate ? 'sealed' : 'unsealed'
  }

  /** Drops a template, with the same options and result as {@link dropDatabase}. */
  async dropTemplate(name: string, { force }: { force: boolean }): Promise<boolean> {
    this.#assertOurs(name)
    await this.#working.query(`ALTER DATABASE ${quote(name)} IS_TEMPLATE false`).catch((error: unknown) => {
      if (sqlState(error) !== MISSING_DATABASE) {
        throw error
      }
    })
    return this.dropDatabase(name, { force })
  }

  /** Forbids connections to a finished template: a database with connections cannot be cloned. */
  async sealTemplate(name: string): Promise<void> {
    // Statements in one query run in one transaction, so a template without the mark is known to be incomplete.
    await this.#working.query(
      `ALTER DATABASE ${quote(name)} ALLOW_CONNECTIONS false; ALTER DATABASE ${quote(name)} IS_TEMPLATE true`,
    )
  }

  /** Writes all committed data to the server's files, so that a copy of them is complete. */
  async checkpoint(): Promise<void> {
    await this.#working.query('CHECKPOINT')
  }

  /** Returns what limits the number of clones: the server's connections, and the size of the template. */
  async readCapacity(template: string): Promise<{ maxConnections: number; templateBytes: number }> {
    const { rows } = await this.#asking.query<{ connections: number; bytes: string }>(
      "SELECT current_setting('max_connections')::int AS connections, pg_database_size($1) AS bytes",
      [template],
    )
    return { maxConnections: rows[0]?.connections ?? 0, templateBytes: Number(rows[0]?.bytes) }
  }

  /**
   * Returns whether a database was used since it was created. The server's counters are exact for sessions that have
   * ended. An open session alone is `'busy'`. A crash resets the counters, so a changed reset time counts as use.
   */
  async useOf(database: string): Promise<'none' | 'busy' | 'used'> {
    const since = await (this.#countedSince ??= this.#readCountedSince())
    const { rows } = await this.#asking.query<{ use: 'none' | 'busy' | 'used' }>(SELECT_USE, [database, since])
    return rows[0]?.use ?? 'used'
  }

  /** Returns the server's counters of a database, and of each database that all files share, by name. */
  async countUse(database?: string): Promise<DatabaseUse> {
    const { rows } = await this.#asking.query<CountedDatabase>(SELECT_CONNECTIONS, [database ?? null])
    const leased = rows.find((row) => row.leased)
    const common = rows
      .filter((row) => row !== leased)
      .map(({ name, ours, activeMs, writes }) => [name, Number(ours ? writes : activeMs)] as const)
    const visited = rows.find(({ ours }) => ours)
    return {
      connections: Number(leased?.sessions),
      common: new Map(common),
      others: Number(visited?.sessions) - this.#connects,
    }
  }

  /** Runs a statement on the maintenance database and returns its rows. */
  async query<T extends object>(statement: string): Promise<readonly T[]> {
    const { rows } = await this.#working.query<T>(statement)
    return rows
  }

  /** Surveys the server except for the main database and the `known` objects. */
  async survey(database: string, known: ServerObjects = NO_OBJECTS): Promise<PostgresSurvey> {
    const { user } = this.address
    return surveyPostgres(this.#asking, { database, user, known })
  }

  /** Returns the application names of the sessions that are connected to a database. */
  async sessionsOf(database: string): Promise<readonly string[]> {
    const { rows } = await this.#asking.query<{ name: string }>(
      `SELECT application_name AS name FROM pg_stat_activity WHERE datname = $1 AND ${IS_CLIENT} ORDER BY 1`,
      [database],
    )
    return rows.map(({ name }) => name)
  }

  /** Writes a line to the server's log and returns the server's time, in Unix milliseconds. */
  async writeLogMark(mark: string): Promise<number> {
    // One query is one transaction, so SET LOCAL applies and the line is written despite the user's log_min_messages.
    const results = (await this.#asking.query(
      `SET LOCAL log_min_messages TO log; DO $$ BEGIN RAISE LOG '${mark.replaceAll("'", "''")}'; END $$; SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`,
    )) as unknown as readonly QueryResult<{ ms: string }>[]
    return Number(results.at(-1)?.rows[0]?.ms)
  }

  /** Runs `work` under a lock, so that processes with the same `key` run one after the other. */
  async withLock<T>(key: string, work: () => Promise<T>): Promise<T> {
    const holder = await openPostgres(this.address)
    try {
      await holder.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [key])
      return await work()
    } finally {
      // The lock ends with the session, even if `work` failed.
      await holder.end()
    }
  }

  async #readCountedSince(): Promise<string> {
    const { rows } = await this.#asking.query<{ since: string }>(`SELECT ${COUNTED_SINCE} AS since`)
    return rows[0]?.since ?? ''
  }

  /** The last protection of other people's databases. No code in this package should ever fail this check. */
  #assertOurs(name: string): void {
    if (this.#isShared && !OF_RUNS_AND_TEMPLATES.test(name)) {
      throw notOurs('database', name)
    }
  }

  async #tryDrop(name: string, { force }: { force: boolean }): Promise<boolean> {
    try {
      await this.#working.query(`DROP DATABASE IF EXISTS ${quote(name)}${force ? ' WITH (FORCE)' : ''}`)
      return true
    } catch (error) {
      if (sqlState(error) === OBJECT_IN_USE) {
        return false
      }
      if (sqlState(error) === WRONG_OBJECT_TYPE) {
        return this.dropTemplate(name, { force })
      }
      throw error
    }
  }

  async #dropSlots(database: string): Promise<void> {
    await this.#asking.query(
      'SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE database = $1 AND active',
      [database],
    )
    await this.#asking.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1',
      [database],
    )
  }

  async #isInUse(name: string): Promise<boolean> {
    const { rows } = await this.#asking.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND ${IS_CLIENT} LIMIT 1`,
      [name],
    )
    return rows.length > 0
  }
}

/** The error for a database or schema that does not have this package's mark. */
export function notOurs(kind: 'database' | 'schema', name: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot touch ${kind} "${name}": it does not bear the mark of vitest-infra, and the server is not ours alone`,
    remedy: `Report this as a bug of vitest-infra; nothing was done to the ${kind}`,
    service: 'postgres',
  })
}

/** Quotes a name as an SQL identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Returns PostgreSQL's five-character error code; undefined if the error has none. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
