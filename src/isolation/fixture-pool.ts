import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase, Pool, PoolClient } from 'pg'
import type { KeptSession } from './kept-session.ts'

/** How long a query that nobody awaited may still take once its test is over. */
const PATIENCE_MS = 500

export interface FixturePoolOptions {
  readonly url: string
  /** Whose sessions its clients use. */
  readonly session: KeptSession
  /** Done with each session before it is used. */
  readonly onConnect: (client: ClientBase) => Promise<void>
  /** Told while clients that were never released are still connected, before they are cut off. */
  readonly onForgotten: () => Promise<void>
}

const APPLICATION_NAME = 'vitest-infra database'

export type OpenFixturePool = (options: FixturePoolOptions) => FixturePool

/** The pool of a fixture, which ends even where the test forgot to give a client back. */
export class FixturePool {
  static #loading: Promise<OpenFixturePool> | undefined
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

  /** Loads pg, once; a project that does not use it need not have it loaded. */
  static load(environment: NodeJS.ProcessEnv): Promise<OpenFixturePool> {
    return (FixturePool.#loading ??= import('pg').then(({ default: pg }) => (options) => {
      const { url: connectionString, session, onConnect } = options
      const stream = () => session.open(mannerOf(environment, pg.defaults))
      // The types do not say so, but pg waits for onConnect.
      const config = { connectionString, application_name: APPLICATION_NAME, stream, onConnect }
      // oxlint-disable-next-line typescript/no-misused-promises
      return new FixturePool(new pg.Pool(config), options)
    }))
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

/** What else a client tells a server as it connects, beside what it is told to. */
function mannerOf(environment: NodeJS.ProcessEnv, defaults: object): string {
  const { PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING } = environment
  return JSON.stringify([PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING, defaults])
}
