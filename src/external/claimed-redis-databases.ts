import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { countClientsOf } from '../services/redis-admin.ts'
import type { RedisClaims } from './redis-claims.ts'
import type { AcquireRequest, LastUse, LeaseSource, ReleaseInfo } from '../leasing/lease-source.ts'
import type { LateCommands } from '../databases/late-commands.ts'
import { type Look, releaseWithoutClients, watchClients } from '../databases/left-clients.ts'
import { ReusedItems } from '../leasing/reused-items.ts'

const POLL_MS = 100
/**
 * Timeouts of the wait for databases. A run may wait until other runs finish, but a lease must not take longer than a
 * test's timeout.
 */
const TIMEOUT_MS = { run: 5 * 60_000, lease: 60_000 }

export interface ClaimedRedisDatabasesOptions {
  readonly address: RedisAddress
  readonly claims: Pick<RedisClaims, 'claim' | 'count' | 'flush' | 'release'>
  /** Loads the seeds into a database. */
  readonly seed: (address: RedisAddress) => Promise<void>
  readonly clock: Clock
  /** Called with the reason if the run has to wait before its tests. */
  readonly onWaiting: (reason: string) => void
  /** Called once for each lease whose clients stay connected after it has ended. */
  readonly onClientsLeft: (owner: string) => void
  readonly late: LateCommands
  /** Cancels all waits for a database when it aborts. */
  readonly signal: AbortSignal
}

/**
 * Leases logical databases of a Redis that others use too. At its start, a run claims two at once, so that runs never
 * deadlock, and holds them until its end. One becomes its main database, the other is for leases. Further databases are
 * claimed on demand and released when unused.
 */
export class ClaimedRedisDatabases implements LeaseSource<RedisAddress> {
  /** The run's main database. It is used instead of database 0, which may contain other users' data. */
  readonly main: RedisAddress
  readonly #options: ClaimedRedisDatabasesOptions
  /** Claimed databases that are not leased. Each promise resolves once the database is empty. */
  readonly #free: Promise<number>[]
  readonly #reused = new ReusedItems<number>()
  readonly #releasing = new BackgroundTasks()
  #waiting = 0

  private constructor(main: number, free: number, options: ClaimedRedisDatabasesOptions) {
    this.#options = options
    this.main = this.#addressOf(main)
    this.#free = [Promise.resolve(free)]
  }

  /**
   * Claims the two databases of a run, and seeds the main one.
   *
   * @throws InfraError `INFRA_LEASE_LIMIT` if no two databases become free within five minutes
   */
  static async open(options: ClaimedRedisDatabasesOptions): Promise<ClaimedRedisDatabases> {
    let isReported = false
    const [main = 0, free = 0] = await pollUntilFound(options, TIMEOUT_MS.run, async () => {
      const databases = await options.claims.claim(2)
      if (databases.length === 0 && !isReported) {
        isReported = true
        options.onWaiting(`a run needs two of its ${options.claims.count} databases, and they are claimed or hold keys`)
      }
      return databases.length > 0 ? databases : undefined
    })
    const opened = new ClaimedRedisDatabases(main, free, options)
    await options.seed(opened.main)
    return opened
  }

  async acquire({ reuse }: Pick<AcquireRequest, 'reuse'>): Promise<RedisAddress> {
    return this.#addressOf(await this.#reused.acquire(reuse, () => this.#acquireFresh()))
  }

  release(address: RedisAddress, info: ReleaseInfo): void {
    const { database = 0 } = address
    this.#options.late.forget(address)
    if (!this.#reused.release(database)) {
      const { onClientsLeft, signal } = this.#options
      const onQuiet = () => this.#releaseClaim(database)
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

  /** Resolves when each released database is empty or is known to be still in use. */
  async settle(): Promise<void> {
    await this.#releasing.settle()
    await Promise.allSettled(this.#free)
  }

  /**
   * Keeps the claim until all clients have disconnected, so that no other run gets the database. At its end, the run
   * releases all claims anyway.
   */
  #watchClients(database: number): void {
    const onQuiet = () => this.#releaseClaim(database)
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
    const database = await pollUntilFound(this.#options, TIMEOUT_MS.lease, () => this.#find()).finally(
      () => (this.#waiting -= 1),
    )
    try {
      await this.#options.seed(this.#addressOf(database))
      return database
    } catch (error) {
      this.#releaseClaim(database)
      throw error
    }
  }

  async #find(): Promise<number | undefined> {
    const free = this.#free.shift()
    const [claimed] = free ? [await free] : await this.#options.claims.claim(1)
    if (claimed !== undefined && (await this.#countClients(claimed))) {
      // These are clients of an earlier run. Its keys are gone, as only an empty database can be claimed.
      this.#watchClients(claimed)
      return undefined
    }
    const used = claimed === undefined ? this.#reused.removeOldest() : undefined
    if (used !== undefined) {
      await this.#options.claims.flush(used)
    }
    return claimed ?? used
  }

  #releaseClaim(database: number): void {
    const { claims } = this.#options
    if (this.#free.length <= this.#waiting) {
      const free = claims.flush(database).then(() => database)
      // A failure is ignored here, as the lease that acquires the database reports it.
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

async function pollUntilFound<T>(
  { clock, claims, signal }: ClaimedRedisDatabasesOptions,
  timeoutMs: number,
  find: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = clock.now() + timeoutMs
  for (;;) {
    const found = await find()
    if (found !== undefined) {
      return found
    }
    if (clock.now() > deadlineMs) {
      throw noneFree(claims.count, timeoutMs)
    }
    await clock.sleep(POLL_MS, signal)
  }
}

function noneFree(count: number, timeoutMs: number): InfraError {
  return new InfraError('INFRA_LEASE_LIMIT', {
    problem: `Cannot lease a database of Redis: all ${count} have been claimed by runs, held keys of other users, or had clients of earlier test files, for ${timeoutMs / 1000} s`,
    remedy:
      'Close clients and queues in afterAll, raise the number of databases in redis.conf, empty unused ones, or lower maxWorkers',
    service: 'redis',
    provider: 'external',
  })
}
