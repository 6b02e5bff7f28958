import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { countClientsOf } from '../services/redis-admin.ts'
import type { RedisClaims } from './redis-claims.ts'
import type { AcquireRequest, LastUse, LeaseSource, ReleaseInfo } from '../leasing/lease-broker.ts'
import type { LateCommands } from '../databases/late-commands.ts'
import { type Look, releaseWithoutClients, watchClients } from '../databases/left-clients.ts'
import { UsedDatabases } from '../databases/used-databases.ts'

const POLL_MS = 100
/** Before the tests, others may finish theirs; a test has a timeout. */
const PATIENCE_MS = { run: 5 * 60_000, lease: 60_000 }

export interface ClaimedRedisDatabasesOptions {
  readonly address: RedisAddress
  readonly claims: Pick<RedisClaims, 'claim' | 'count' | 'flush' | 'release'>
  /** Loads what every lease begins with. */
  readonly seed: (address: RedisAddress) => Promise<void>
  readonly clock: Clock
  /** Called with the reason when the run has to wait before its tests. */
  readonly onWaiting: (reason: string) => void
  /** Called once for each lease whose clients stay when it is over. */
  readonly onClientsLeft: (owner: string) => void
  readonly late: LateCommands
  /** Ends all waiting. */
  readonly signal: AbortSignal
}

/**
 * Logical databases of a Redis that others use too, each for one lease at a time. A run holds the main one and one for
 * leases as long as it lives, claimed together, so that runs that share a few never wait for each other in a circle; any
 * more it claims when it needs them, and others may have them at once when it does not.
 */
export class ClaimedRedisDatabases implements LeaseSource<RedisAddress> {
  /** Used in place of the first database of the server, which is not ours. */
  readonly main: RedisAddress
  readonly #options: ClaimedRedisDatabasesOptions
  /** Ours and unused, once they are empty. */
  readonly #free: Promise<number>[]
  readonly #used = new UsedDatabases()
  readonly #releasing = new BackgroundTasks()
  #waiting = 0

  private constructor(main: number, free: number, options: ClaimedRedisDatabasesOptions) {
    this.#options = options
    this.main = this.#addressOf(main)
    this.#free = [Promise.resolve(free)]
  }

  /** @throws InfraError `INFRA_LEASE_LIMIT` when there has been no room for five minutes */
  static async open(options: ClaimedRedisDatabasesOptions): Promise<ClaimedRedisDatabases> {
    let isTold = false
    const [main = 0, free = 0] = await untilThere(options, PATIENCE_MS.run, async () => {
      const databases = await options.claims.claim(2)
      if (databases.length === 0 && !isTold) {
        isTold = true
        options.onWaiting(`a run needs two of its ${options.claims.count} databases, and they are claimed or hold keys`)
      }
      return databases.length > 0 ? databases : undefined
    })
    const opened = new ClaimedRedisDatabases(main, free, options)
    await options.seed(opened.main)
    return opened
  }

  async acquire({ reuse }: Pick<AcquireRequest, 'reuse'>): Promise<RedisAddress> {
    return this.#addressOf(await this.#used.acquire(reuse, () => this.#acquireFresh()))
  }

  release(address: RedisAddress, info: ReleaseInfo): void {
    const { database = 0 } = address
    this.#options.late.forget(address)
    if (!this.#used.keep(database)) {
      const { onClientsLeft, signal } = this.#options
      const onQuiet = () => this.#putBack(database)
      this.#releasing.add(releaseWithoutClients(this.#lookAt(database), info, { onClientsLeft, onQuiet, signal }))
    }
  }

  idle(address: RedisAddress): Promise<void> {
    return this.#options.late.listen(address)
  }

  async reset(address: RedisAddress, { file }: LastUse): Promise<void> {
    await this.#options.claims.flush(address.database ?? 0)
    await this.#options.seed(address)
    await this.#options.late.report(address, file)
  }

  /** Resolves when all that was given back is empty, or known to be still in use. */
  async settle(): Promise<void> {
    await this.#releasing.settle()
    await Promise.allSettled(this.#free)
  }

  /** Other runs do not get it either before its clients are gone. At the end of a run, all that it claimed is released. */
  #watchClients(database: number): void {
    const onQuiet = () => this.#putBack(database)
    void watchClients(this.#lookAt(database), { onQuiet, signal: this.#options.signal })
  }

  #lookAt(database: number): Look {
    return { count: () => this.#countClients(database), clock: this.#options.clock }
  }

  #countClients(database: number): Promise<number | undefined> {
    return countClientsOf(this.#addressOf(database))
  }

  async #acquireFresh(): Promise<number> {
    this.#waiting += 1
    const database = await untilThere(this.#options, PATIENCE_MS.lease, () => this.#find()).finally(
      () => (this.#waiting -= 1),
    )
    try {
      await this.#options.seed(this.#addressOf(database))
      return database
    } catch (error) {
      this.#putBack(database)
      throw error
    }
  }

  async #find(): Promise<number | undefined> {
    const free = this.#free.shift()
    const [claimed] = free ? [await free] : await this.#options.claims.claim(1)
    if (claimed !== undefined && (await this.#countClients(claimed))) {
      // Of a run before this one, since its keys are gone.
      this.#watchClients(claimed)
      return undefined
    }
    const used = claimed === undefined ? this.#used.removeOldest() : undefined
    if (used !== undefined) {
      await this.#options.claims.flush(used)
    }
    return claimed ?? used
  }

  #putBack(database: number): void {
    const { claims } = this.#options
    if (this.#free.length <= this.#waiting) {
      const free = claims.flush(database).then(() => database)
      // Taking it reports the failure.
      free.catch(() => {})
      this.#free.push(free)
      return
    }
    this.#releasing.add(claims.release(database).catch(() => {}))
  }

  #addressOf(database: number): RedisAddress {
    return { ...this.#options.address, database }
  }
}

async function untilThere<T>(
  { clock, claims, signal }: ClaimedRedisDatabasesOptions,
  patienceMs: number,
  find: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = clock.now() + patienceMs
  for (;;) {
    const found = await find()
    if (found !== undefined) {
      return found
    }
    if (clock.now() > deadlineMs) {
      throw noneFree(claims.count, patienceMs)
    }
    await clock.sleep(POLL_MS, signal)
  }
}

function noneFree(count: number, patienceMs: number): InfraError {
  return new InfraError('INFRA_LEASE_LIMIT', {
    problem: `Cannot lease a database of Redis: all ${count} have been claimed by runs, have held somebody's keys, or had clients of files that are over, for ${patienceMs / 1000} s`,
    remedy:
      'Close clients and queues in afterAll, give the server more (databases in redis.conf), empty those that nobody needs, or lower maxWorkers',
    service: 'redis',
    provider: 'external',
  })
}
