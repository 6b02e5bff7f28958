import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, ClientConfig, Pool, PoolClient } from 'pg'
import { APPLICATION } from '../internal/names.ts'
import { NextSession } from './next-session.ts'

/** Time in milliseconds that a query may still run after a test that did not await it. */
const QUERY_TIMEOUT_MS = 500

export interface FixturePoolOptions {
  readonly url: string
  /** Session for the first client; undefined if none was opened ahead of time. */
  readonly session: NextSession | undefined
  /** Called before unreleased clients are disconnected. */
  readonly onForgotten: () => Promise<void>
}

/** Opens pools, and sessions for future pools. */
export interface FixtureDriver {
  readonly openPool: (options: FixturePoolOptions) => FixturePool
  readonly openSession: (url: string) => Promise<NextSession>
}

/** The pool of a fixture. It can be closed even if the test has not released all its clients. */
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
    // The server may close a connection between two queries. This is not a failure.
    pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  }

  /** Loads pg once, and only when it is needed, as not every project has it. */
  static load(environment: NodeJS.ProcessEnv): Promise<FixtureDriver> {
    return (FixturePool.#loading ??= import('pg').then(({ default: pg }) => ({
      openPool: (options) => {
        let next = options.session
        // pg-pool calls this function with `new`, so the result is the object that the function returns.
        const createClient = function (config: ClientConfig): Client {
          const client = next?.adopt({ pg, environment })
          next = undefined
          return client ?? new pg.Client(config)
        } as unknown as new () => Client
        return new FixturePool(new pg.Pool({ ...configOf(options.url), Client: createClient }), options)
      },
      openSession: (url) => NextSession.open({ pg, config: configOf(url), environment }),
    })))
  }

  async close(): Promise<void> {
    // The test itself may have called `end()` on the pool.
    const ended = this.pool.ending ? Promise.resolve() : this.pool.end()
    if (this.#checkedOut.size > 0) {
      await Promise.race([ended, sleep(QUERY_TIMEOUT_MS)])
    }
    if (this.#checkedOut.size > 0) {
      await this.#options.onForgotten()
      this.#checkedOut.forEach((client) => client.release(true))
    }
    await ended
  }
}

function configOf(connectionString: string): ClientConfig {
  return { connectionString, application_name: APPLICATION.fixture }
}
