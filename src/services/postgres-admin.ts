import type { Pool, QueryResult } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { openPostgres, openPostgresPool } from './postgres.ts'
import { type PostgresSurvey, surveyPostgres } from './postgres-survey.ts'

const MAINTENANCE_DATABASE = 'postgres'
const OBJECT_IN_USE = '55006'
const WORKING_CONNECTIONS = 3

/** The server's own housekeeping gives way to whoever clones or drops a database. */
const SOMEBODY = "backend_type <> 'autovacuum worker'"

/** What the server knows of a template: it is sealed last, so one that is not was interrupted. */
export type TemplateState = 'missing' | 'unsealed' | 'sealed'

/** Creates, seals and drops databases, over connections of its own to the maintenance database. */
export class PostgresAdmin {
  /** The server, seen from its maintenance database. */
  readonly address: PostgresAddress
  /** For what takes its time, so that a lease that waits for a clone does not wait for somebody's drop first. */
  readonly #working: Pool
  readonly #asking: Pool

  private constructor(address: PostgresAddress, working: Pool, asking: Pool) {
    this.address = address
    this.#working = working
    this.#asking = asking
  }

  static async open(address: PostgresAddress): Promise<PostgresAdmin> {
    const maintenance = { ...address, database: MAINTENANCE_DATABASE }
    const open = (max: number) => openPostgresPool(maintenance, { max, idleTimeoutMillis: 0 })
    return new PostgresAdmin(maintenance, await open(WORKING_CONNECTIONS), await open(1))
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#working.end(), this.#asking.end()])
  }

  /** An empty database, or a clone of a template, file by file: on tmpfs a third of the time of the default strategy. */
  async createDatabase(name: string, template?: string): Promise<void> {
    const source = template === undefined ? '' : ` TEMPLATE ${quote(template)} STRATEGY FILE_COPY`
    await this.#working.query(`CREATE DATABASE ${quote(name)}${source}`)
  }

  /** Returns whether the database is gone; without `force` it stays while anyone is connected to it. */
  async dropDatabase(name: string, { force }: { force: boolean }): Promise<boolean> {
    // Asked first, because DROP DATABASE waits five seconds for sessions to end before it gives up.
    if (!force && (await this.#isInUse(name))) {
      return false
    }
    if (await this.#tryDrop(name, { force })) {
      return true
    }
    // A logical replication slot holds its database too, and outlives the session that made it.
    await this.#dropSlots(name)
    return this.#tryDrop(name, { force })
  }

  /** Puts a database in the place of another one, which gets the name `aside`; returns false where that cannot be. */
  async swapDatabases(name: string, { by, aside }: { readonly by: string; readonly aside: string }): Promise<boolean> {
    // Asked first, because renaming waits five seconds for sessions to end before it gives up.
    if (await this.#isInUse(name)) {
      return false
    }
    // In one query, and so in one transaction.
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

  /** Keeps everybody out of a finished template: a database that somebody is connected to cannot be cloned. */
  async sealTemplate(name: string): Promise<void> {
    // In one query, and so in one transaction: a template without the mark is known to be half-built.
    await this.#working.query(
      `ALTER DATABASE ${quote(name)} ALLOW_CONNECTIONS false; ALTER DATABASE ${quote(name)} IS_TEMPLATE true`,
    )
  }

  /** Makes a template one that can be dropped. */
  async unsealTemplate(name: string): Promise<void> {
    await this.#working.query(`ALTER DATABASE ${quote(name)} IS_TEMPLATE false`)
  }

  /** Has all that was committed written, so that whoever copies the server's files has it. */
  async checkpoint(): Promise<void> {
    await this.#working.query('CHECKPOINT')
  }

  /** What bounds the number of clones of a template. */
  async readCapacity(template: string): Promise<{ maxConnections: number; templateBytes: number }> {
    const { rows } = await this.#asking.query<{ connections: number; bytes: string }>(
      "SELECT current_setting('max_connections')::int AS connections, pg_database_size($1) AS bytes",
      [template],
    )
    return { maxConnections: rows[0]?.connections ?? 0, templateBytes: Number(rows[0]?.bytes) }
  }

  /** All that is there beside the main database. */
  async survey(database: string): Promise<PostgresSurvey> {
    const { user } = this.address
    return surveyPostgres((text, values) => this.#asking.query<PostgresSurvey>(text, values), { database, user })
  }

  /** The names under which sessions are connected to a database. */
  async sessionsOf(database: string): Promise<readonly string[]> {
    const { rows } = await this.#asking.query<{ name: string }>(
      `SELECT application_name AS name FROM pg_stat_activity WHERE datname = $1 AND ${SOMEBODY} ORDER BY 1`,
      [database],
    )
    return rows.map(({ name }) => name)
  }

  /** Writes a line into the server's log, behind all that it wrote before; resolves to its clock, in Unix milliseconds. */
  async writeLogMark(mark: string): Promise<number> {
    // One query, and so one transaction: whatever the user's log_min_messages, this line is written.
    const results = (await this.#asking.query(
      `SET LOCAL log_min_messages TO log; DO $$ BEGIN RAISE LOG '${mark.replaceAll("'", "''")}'; END $$; SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`,
    )) as unknown as readonly QueryResult<{ ms: string }>[]
    return Number(results.at(-1)?.rows[0]?.ms)
  }

  /** Runs `work` while no other process that asks for the same `key` does. */
  async withLock<T>(key: string, work: () => Promise<T>): Promise<T> {
    const holder = await openPostgres(this.address)
    try {
      await holder.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [key])
      return await work()
    } finally {
      // Ends the lock with the session, however `work` ended.
      await holder.end()
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
      `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND ${SOMEBODY} LIMIT 1`,
      [name],
    )
    return rows.length > 0
  }
}

/** A name as an SQL identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The five characters by which PostgreSQL tells errors apart. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
