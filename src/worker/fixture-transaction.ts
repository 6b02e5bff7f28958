import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, QueryResult } from 'pg'
import { APPLICATION } from '../internal/names.ts'

/** Time in milliseconds that a query may still run after a test that did not await it. */
const QUERY_TIMEOUT_MS = 500

/** A client in a transaction that is always rolled back. */
export class FixtureTransaction {
  readonly client: Client
  readonly #url: string
  readonly #pid: number

  private constructor(client: Client, url: string, pid: number) {
    this.client = client
    this.#url = url
    this.#pid = pid
  }

  static async begin(url: string): Promise<FixtureTransaction> {
    const client = await connect(url)
    try {
      const results = (await client.query('BEGIN; SELECT pg_backend_pid() AS pid')) as unknown as QueryResult[]
      return new FixtureTransaction(client, url, results[1]?.rows[0].pid)
    } catch (error) {
      await client.end().catch(() => {})
      throw error
    }
  }

  /**
   * Rolls the transaction back. If that takes too long, terminates the session, as a query that was not awaited would
   * keep its locks.
   */
  async close(): Promise<void> {
    const rolledBack = isOver(this.client.query('ROLLBACK'))
    if (!(await Promise.race([rolledBack, sleep(QUERY_TIMEOUT_MS, false)]))) {
      await this.#terminate().catch(() => {})
    }
    await this.client.end()
  }

  async #terminate(): Promise<void> {
    const other = await connect(this.#url)
    try {
      await other.query('SELECT pg_terminate_backend($1, 5000)', [this.#pid])
    } finally {
      await other.end()
    }
  }
}

async function connect(connectionString: string): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString, application_name: APPLICATION.transaction })
  // The server may close the connection between two queries. This is not a failure.
  client.on('error', () => {})
  await client.connect()
  return client
}

async function isOver(work: Promise<unknown>): Promise<boolean> {
  await work.catch(() => {})
  return true
}
