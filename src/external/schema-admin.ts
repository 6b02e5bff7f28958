import type { Pool, PoolClient } from 'pg'
import { inSchema, type PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { APPLICATION, OF_RUN } from '../internal/names.ts'
import { END_USERS_OF_SCHEMA } from './marked-schemas.ts'
import { openPostgresPool } from '../services/postgres.ts'
import { notOurs, quote, sqlState } from '../services/postgres-admin.ts'

/** Number of connections: one creates schemas, and the other one drops them. */
const CONNECTIONS = 2
const OF_ANY_RUN = new RegExp(`${OF_RUN}.+`)
const LOCK_NOT_AVAILABLE = '55P03'
const OUT_OF_LOCKS = '53200'
/**
 * Lock timeout in milliseconds of a drop without force. A session that blocks the drop for longer may block it for a
 * long time.
 */
const UNFORCED_TIMEOUT_MS = 100
/** Lock timeout in milliseconds of a reset; longer than most queries that tests do not await. */
const RESET_TIMEOUT_MS = 5_000
const FORCED_TIMEOUT_MS = 1_000
const FORCED_ATTEMPTS = 5
/**
 * Number of tables to drop in one transaction. Each table, index and TOAST table takes a lock; a server has 64 locks
 * for each connection.
 */
const TABLES_AT_ONCE = 20

/** Fills the empty schema at the address. */
export type FillSchema = (address: PostgresAddress) => Promise<void>

/**
 * Replaces {@link PostgresAdmin} for a role that may not create databases. Each leased "database" is a schema. All
 * schemas are in one database, which others own.
 */
export class SchemaAdmin {
  /** Address of the database that contains the schemas. */
  readonly address: PostgresAddress
  readonly #pool: Pool
  readonly #templates = new Map<string, FillSchema>()

  private constructor(address: PostgresAddress, pool: Pool) {
    this.address = address
    this.#pool = pool
  }

  static async open(address: PostgresAddress): Promise<SchemaAdmin> {
    const options = { max: CONNECTIONS, idleTimeoutMillis: 0, application_name: APPLICATION.schemas }
    return new SchemaAdmin(address, await openPostgresPool(address, options))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  /** Registers the function that fills a schema of this template. */
  defineTemplate(template: string, fill: FillSchema): void {
    this.#templates.set(template, fill)
  }

  /** Creates a schema and fills it from its template. After a failure, the schema remains until it is dropped. */
  async createDatabase(name: string, template: string): Promise<void> {
    assertOurs(name)
    await this.#pool.query(`CREATE SCHEMA ${quote(name)}`)
    await this.#templates.get(template)?.(inSchema(this.address, name))
  }

  /** Drops a schema; returns whether it was dropped. Without `force`, it remains while a session uses it. */
  async dropDatabase(name: string, { force }: { force: boolean }): Promise<boolean> {
    assertOurs(name)
    return force ? this.#dropByForce(name) : this.#tryDrop(name, UNFORCED_TIMEOUT_MS)
  }

  /** Drops a schema and creates it again while its users stay connected. */
  async reset(name: string, template: string): Promise<void> {
    assertOurs(name)
    if (!(await this.#tryDrop(name, RESET_TIMEOUT_MS))) {
      throw resetRefused(name)
    }
    await this.createDatabase(name, template)
  }

  /** Resolves to an empty list, as a session does not reveal which schemas it uses. */
  async sessionsOf(): Promise<readonly string[]> {
    return []
  }

  /** Resolves to `used`, as the server has usage counters for databases, but not for schemas. */
  async useOf(): Promise<'used'> {
    return 'used'
  }

  /**
   * Drops a schema and terminates the sessions that use it. Retries, as a disconnected client may reconnect before the
   * drop has its locks.
   */
  async #dropByForce(name: string): Promise<boolean> {
    let isGone = false
    for (let attempt = 1; !isGone && attempt <= FORCED_ATTEMPTS; attempt += 1) {
      await this.#pool.query(END_USERS_OF_SCHEMA, [name])
      isGone = await this.#tryDrop(name, FORCED_TIMEOUT_MS)
    }
    return isGone
  }

  async #tryDrop(name: string, timeoutMs: number): Promise<boolean> {
    const client = await this.#pool.connect()
    try {
      await client.query(`SET lock_timeout = ${timeoutMs}`)
      await client.query(dropSchema(name)).catch(async (error: unknown) => {
        if (sqlState(error) !== OUT_OF_LOCKS) {
          throw error
        }
        await dropTables(client, name)
        await client.query(dropSchema(name))
      })
      return true
    } catch (error) {
      if (sqlState(error) === LOCK_NOT_AVAILABLE) {
        return false
      }
      throw error
    } finally {
      // The next user of this connection expects the default, which is no timeout.
      const isReset = await client.query('RESET lock_timeout').then(
        () => true,
        () => false,
      )
      client.release(!isReset)
    }
  }
}

function dropSchema(name: string): string {
  return `DROP SCHEMA IF EXISTS ${quote(name)} CASCADE`
}

/** Drops the tables of a schema in several transactions. Used when the server has too few locks for a single one. */
async function dropTables(client: PoolClient, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition`,
    [schema],
  )
  const tables = rows.map(({ name }) => `${quote(schema)}.${quote(name)}`)
  for (let first = 0; first < tables.length; first += TABLES_AT_ONCE) {
    await client.query(`DROP TABLE IF EXISTS ${tables.slice(first, first + TABLES_AT_ONCE).join()} CASCADE`)
  }
}

/** Throws for a schema that no run created, to prevent any change to it. */
function assertOurs(name: string): void {
  if (!OF_ANY_RUN.test(name)) {
    throw notOurs('schema', name)
  }
}

function resetRefused(name: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset schema "${name}" for the next test file: a transaction that uses it has been open for ${RESET_TIMEOUT_MS} ms`,
    remedy: 'End every transaction before its test ends, or leave isolate at true',
    service: 'postgres',
  })
}
