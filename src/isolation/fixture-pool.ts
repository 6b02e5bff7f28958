import { setTimeout as sleep } from 'node:timers/promises'
import type { Duplex } from 'node:stream'
import type { ClientBase, Pool, PoolClient } from 'pg'

/** How long a query that nobody awaited may still take once its test is over. */
const PATIENCE_MS = 500

export interface FixturePoolOptions {
  readonly url: string
  /** What its sessions are called on the server. */
  readonly name: string
  /** What its sessions are reached over. */
  readonly stream: () => Duplex
  /** Done with each session before it is used. */
  readonly onConnect: (client: ClientBase) => Promise<void>
  /** Told while clients that were never released are still connected, before they are cut off. */
  readonly onForgotten: () => Promise<void>
}

/** The pool of a fixture, which ends even where the test forgot to give a client back. */
export class FixturePool {
  readonly pool: Pool
  readonly #options: FixturePoolOptions
  readonly #checkedOut = new Set<PoolClient>()

  private constructor(pool: Pool, options: FixturePoolOptions) {
    this.pool = pool
    this.#options = options
    pool.on('acquire', (client) => this.#checkedOut.add(client))
    pool.on('release', (_error, client) => this.#checkedOut.delete(client))
    // A client that the server cuts off between two queries concerns nobody, idle in the pool or not.
    pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  }

  static async load(): Promise<(options: FixturePoolOptions) => FixturePool> {
    const { default: pg } = await import('pg')
    return (options) => {
      const { url: connectionString, name, stream, onConnect } = options
      // The types do not say so, but pg waits for it.
      // oxlint-disable-next-line typescript/no-misused-promises
      return new FixturePool(new pg.Pool({ connectionString, application_name: name, stream, onConnect }), options)
    }
  }

  async close(): Promise<void> {
    // The test may have ended it itself.
    const ended = this.pool.ending ? Promise.resolve() : this.pool.end()
    if (this.#checkedOut.size > 0) {
      await Promise.race([ended, sleep(PATIENCE_MS)])
    }
    if (this.#checkedOut.size > 0) {
      await this.#options.onForgotten()
      this.#checkedOut.forEach((client) => client.release(true))
    }
    await ended
  }
}
