import type { Redis } from 'ioredis'
import { nameRunConnection } from '../internal/names.ts'
import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { openRedis } from '../services/redis.ts'
import { CLAIM, FIND_LEFT, FLUSH, RELEASE, RENEW, SWEEP } from './redis-claim-scripts.ts'

/**
 * Duration of a claim. It is long enough for an overloaded machine. Afterwards, the databases of a killed run are free
 * again.
 */
const CLAIM_MS = 15_000
const RENEW_INTERVAL_MS = 5_000

/** Redis's default number of databases, for servers that refuse CONFIG GET. */
const DEFAULT_DATABASES = 16

/**
 * Claims logical databases of a Redis that others use too. A claim is a key in database 0 that expires unless it is
 * renewed. A database with keys belongs to another user, unless an owner key shows that it belonged to a run.
 */
export class RedisClaims {
  readonly #client: Redis
  readonly #runId: string
  readonly #clock: Clock
  /** Number of databases of the server. Database 0 is never claimed. */
  readonly count: number
  readonly #claimed = new Set<number>()
  readonly #closing = new AbortController()
  readonly #renewing: Promise<void>

  private constructor(client: Redis, count: number, { runId, clock }: RedisClaimsOptions) {
    this.#client = client
    this.#runId = runId
    this.#clock = clock
    this.count = count
    this.#renewing = this.#renew()
  }

  static async open(address: RedisAddress, options: RedisClaimsOptions): Promise<RedisClaims> {
    // The connection always uses database 0, as all runs must look for claims in the same one.
    const client = await openRedis({ ...address, database: 0 }, nameRunConnection(options.runId))
    return new RedisClaims(client, await countDatabases(client), options)
  }

  /** Claims the wanted number of empty databases, or none if there are fewer. */
  async claim(wanted: number): Promise<readonly number[]> {
    const first = Math.floor(Math.random() * this.count)
    const values = [CLAIM_MS, first, this.count, wanted]
    const databases = (await this.#run(CLAIM, values)) as readonly number[]
    databases.forEach((database) => this.#claimed.add(database))
    if (databases.length === 0) {
      await this.sweep()
    }
    return databases
  }

  /** Empties a database; rejects if its claim was lost. */
  async flush(database: number): Promise<void> {
    if (Number(await this.#run(FLUSH, [database])) === 0) {
      this.#claimed.delete(database)
      throw claimLost(database)
    }
  }

  /** Empties a database and releases its claim. */
  async release(database: number): Promise<void> {
    this.#claimed.delete(database)
    await this.#run(RELEASE, [database])
  }

  /** Empties the databases of ended runs. A run has ended if its claim has expired and it is not connected. */
  async sweep(): Promise<void> {
    const left = (await this.#run(FIND_LEFT, [this.count])) as readonly string[]
    if (left.length > 0) {
      // A run that was suspended for longer than the duration of its claim is still connected.
      const clients = String(await this.#client.call('CLIENT', 'LIST').catch(() => ''))
      const over = left.filter((runId) => !clients.includes(`name=${nameRunConnection(runId)} `))
      await this.#run(SWEEP, [this.count, ...over])
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    try {
      await this.#renewing
      await Promise.all([...this.#claimed].map((database) => this.release(database)))
    } finally {
      this.#client.disconnect()
    }
  }

  async #renew(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#clock.sleep(RENEW_INTERVAL_MS, this.#closing.signal).catch(() => {})
      for (const database of this.#claimed) {
        // The loss of a claim is reported when its database is emptied. If the server is unreachable, the next renewal
        // tries again.
        await this.#run(RENEW, [CLAIM_MS, database]).catch(() => {})
      }
    }
  }

  #run(script: string, values: readonly (string | number)[]): Promise<unknown> {
    return this.#client.eval(script, 0, this.#runId, ...values)
  }
}

export interface RedisClaimsOptions {
  readonly runId: string
  readonly clock: Clock
}

async function countDatabases(client: Redis): Promise<number> {
  const [, count] = await client.config('GET', 'databases').catch(() => [])
  return count === undefined ? DEFAULT_DATABASES : Number(count)
}

function claimLost(database: number): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot empty database ${database} of Redis: this run's claim to it is lost, because it was not renewed for ${CLAIM_MS / 1000} s, or because the server was emptied`,
    remedy: 'Run the tests again; no test may use FLUSHALL on a shared server',
    service: 'redis',
    provider: 'external',
  })
}
