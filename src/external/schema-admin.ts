import type { Pool, PoolClient } from 'pg'
import { inSchema, type PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { OF_RUN } from '../services/database-names.ts'
import { ADMINISTRATION, END_USERS_OF_SCHEMA } from './marked-schemas.ts'
import { openPostgresPool } from '../services/postgres.ts'
import { notOurs, quote, sqlState } from '../services/postgres-admin.ts'

/** One that makes and one that drops. */
const CONNECTIONS = 2
const OF_ANY_RUN = new RegExp(`${OF_RUN}.+`)
const LOCK_NOT_AVAILABLE = '55P03'
const OUT_OF_LOCKS = '53200'
/** A session that still uses a schema after this time is taken to need it for longer. */
const POLITE_MS = 100
/** Longer than any query that a test fires and forgets. */
const RESET_MS = 5_000
const FORCED_MS = 1_000
const FORCED_ATTEMPTS = 5
/** Each takes a lock, and so do its indexes and columns apart; a server has 64 for each connection. */
const TABLES_AT_ONCE = 20

/** Fills the empty schema at this address. */
export type FillSchema = (address: PostgresAddress) => Promise<void>

/**
 * Stands where {@link PostgresAdmin} does for a role that may not create databases: what leases call a database is a
 * schema here, all of them in one database, which is not ours.
 */
export class SchemaAdmin {
  /** The database that the schemas are in. */
  readonly address: PostgresAddress
  readonly #pool: Pool
  readonly #templates = new Map<string, FillSchema>()

  private constructor(address: PostgresAddress, pool: Pool) {
    this.address = address
    this.#pool = pool
  }

  static async open(address: PostgresAddress): Promise<SchemaAdmin> {
    const options = { max: CONNECTIONS, idleTimeoutMillis: 0, application_name: ADMINISTRATION }
    return new SchemaAdmin(address, await openPostgresPool(address, options))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  /** Has it known how a schema of this template is filled. */
  defineTemplate(template: string, fill: FillSchema): void {
    this.#templates.set(template, fill)
  }

  /** A new schema, filled as its template says; what fails half way stays until it is dropped. */
  async createDatabase(name: string, template: string): Promise<void> {
    assertOurs(name)
    await this.#pool.query(`CREATE SCHEMA ${quote(name)}`)
    await this.#templates.get(template)?.(inSchema(this.address, name))
  }

  /** Returns whether the schema is gone; without `force` it stays while anyone uses what is in it. */
  async dropDatabase(name: string, { force }: { force: boolean }): Promise<boolean> {
    assertOurs(name)
    return force ? this.#dropByForce(name) : this.#tryDrop(name, POLITE_MS)
  }

  /** Makes a schema that its user stays connected to what it was when new. */
  async reset(name: string, template: string): Promise<void> {
    assertOurs(name)
    if (!(await this.#tryDrop(name, RESET_MS))) {
      throw resetRefused(name)
    }
    await this.createDatabase(name, template)
  }

  /** A session is connected to a database, which does not say which schemas it uses. */
  async sessionsOf(): Promise<readonly string[]> {
    return []
  }

  /** The server counts the use of databases, not that of schemas. */
  async useOf(): Promise<'used'> {
    return 'used'
  }

  /** A client that was disconnected may reconnect before the drop has its locks, so it is tried again. */
  async #dropByForce(name: string): Promise<boolean> {
    let isGone = false
    for (let attempt = 1; !isGone && attempt <= FORCED_ATTEMPTS; attempt += 1) {
      await this.#pool.query(END_USERS_OF_SCHEMA, [name])
      isGone = await this.#tryDrop(name, FORCED_MS)
    }
    return isGone
  }

  async #tryDrop(name: string, patienceMs: number): Promise<boolean> {
    const client = await this.#pool.connect()
    try {
      await client.query(`SET lock_timeout = ${patienceMs}`)
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
      // The next one to have the connection waits for locks as long as it likes.
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

/** In several transactions, where the server has not as many locks as one would need. */
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

/** The last guard of other people's schemas. */
function assertOurs(name: string): void {
  if (!OF_ANY_RUN.test(name)) {
    throw notOurs('schema', name)
  }
}

function resetRefused(name: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset schema "${name}" for the next test file: somebody has used it for ${RESET_MS} ms, in a transaction that is still open`,
    remedy: 'End every transaction before its test ends, or leave isolate at true',
    service: 'postgres',
  })
}
