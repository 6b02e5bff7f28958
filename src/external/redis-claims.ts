import type { Redis } from 'ioredis'
import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { openRedis } from '../services/redis.ts'
import { CLAIM, FIND_LEFT, FLUSH, RELEASE, RENEW, SWEEP } from './redis-claim-scripts.ts'

/** Long enough for a machine that is out of breath; what a killed run held is free after it. */
const CLAIM_MS = 15_000
const RENEWAL_MS = 5_000

/** As many as Redis has by itself, where it does not let us ask. */
const USUAL_DATABASES = 16

/**
 * What a run claims of a Redis that others use too: logical databases, by keys in the first one that expire unless they
 * are renewed. A database that holds anything belongs to another user, unless a mark next to the claim says that a run left it.
 */
export class RedisClaims {
  readonly #client: Redis
  readonly #runId: string
  readonly #clock: Clock
  /** How many databases the server has; the first one is never claimed. */
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
    // The first database, whichever the run was given: all have to look for claims in one place.
    const client = await openRedis({ ...address, database: 0 }, connectionName(options.runId))
    return new RedisClaims(client, await countDatabases(client), options)
  }

  /** Claims so many empty databases, or none if there are not enough. */
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

  /** Empties a database, if it is still ours. */
  async flush(database: number): Promise<void> {
    if (Number(await this.#run(FLUSH, [database])) === 0) {
      this.#claimed.delete(database)
      throw claimLost(database)
    }
  }

  /** Empties it and lets others have it. */
  async release(database: number): Promise<void> {
    this.#claimed.delete(database)
    await this.#run(RELEASE, [database])
  }

  /** Empties the databases of runs that are over: their claim has expired, and they are not connected any more. */
  async sweep(): Promise<void> {
    const left = (await this.#run(FIND_LEFT, [this.count])) as readonly string[]
    if (left.length > 0) {
      // A run that was frozen longer than its claim lasts is still connected.
      const clients = String(await this.#client.call('CLIENT', 'LIST').catch(() => ''))
      const over = left.filter((runId) => !clients.includes(`name=${connectionName(runId)} `))
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
      await this.#clock.sleep(RENEWAL_MS, this.#closing.signal).catch(() => {})
      for (const database of this.#claimed) {
        // A database whose claim was lost is reported when it is emptied; a server that is away is asked again.
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
  return count === undefined ? USUAL_DATABASES : Number(count)
}

function connectionName(runId: string): string {
  return `vitest-infra-${runId}`
}

function claimLost(database: number): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot empty database ${database} of Redis: this run's claim to it is lost, because it was not heard of for ${CLAIM_MS / 1000} s, or because somebody emptied the server`,
    remedy: 'Run the tests again; none of them may use FLUSHALL on a server that is shared',
    service: 'redis',
    provider: 'external',
  })
}
