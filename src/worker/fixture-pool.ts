import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, ClientConfig, Pool, PoolClient } from 'pg'
import { NextSession } from './next-session.ts'

/** How long a query that was not awaited may still take once its test is over. */
const PATIENCE_MS = 500

export interface FixturePoolOptions {
  readonly url: string
  /** For its first client, if it was opened ahead. */
  readonly session: NextSession | undefined
  /** Called before clients that were never released are disconnected. */
  readonly onForgotten: () => Promise<void>
}

const APPLICATION_NAME = 'vitest-infra database'

/** What opens pools, and sessions for pools that are yet to be opened. */
export interface FixtureDriver {
  readonly openPool: (options: FixturePoolOptions) => FixturePool
  readonly openSession: (url: string) => Promise<NextSession>
}

/** The pool of a fixture, which ends even where the test forgot to give a client back. */
export class FixturePool {
  static #loading: Promise<FixtureDriver> | undefined
  readonly pool: Pool
  readonly #options: FixturePoolOptions
  readonly #checkedOut = new Set<PoolClient>()

  private constructor(pool: Pool, options: FixturePoolOptions) {
    this.pool = pool
    this.#options = options
    pool.on('acquire', (client) => this.#checkedOut.add(client))
    pool.on('release', (_error, client) => this.#checkedOut.delete(client))
    // The server may end a client between two queries, idle in the pool or not, which is no failure.
    pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  }

  /** Loads pg, once; a project that does not use it need not have it loaded. */
  static load(environment: NodeJS.ProcessEnv): Promise<FixtureDriver> {
    return (FixturePool.#loading ??= import('pg').then(({ default: pg }) => ({
      openPool: (options) => {
        let next = options.session
        // pg-pool calls it with `new`, and so has what it returns.
        const createClient = function (config: ClientConfig): Client {
          const client = next?.take({ pg, environment })
          next = undefined
          return client ?? new pg.Client(config)
        } as unknown as new () => Client
        return new FixturePool(new pg.Pool({ ...configOf(options.url), Client: createClient }), options)
      },
      openSession: (url) => NextSession.open({ pg, config: configOf(url), environment }),
    })))
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

function configOf(connectionString: string): ClientConfig {
  return { connectionString, application_name: APPLICATION_NAME }
}
