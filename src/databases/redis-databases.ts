import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { withRedis } from '../services/redis.ts'
import { countClientsOf } from '../services/redis-admin.ts'
import type { Address } from '../services/service.ts'
import type { AcquireRequest, LastUse, LeaseSource, ReleaseInfo } from '../leasing/lease-source.ts'
import type { LateCommands } from './late-commands.ts'
import { releaseWithoutClients } from './left-clients.ts'
import { ReusedItems } from '../leasing/reused-items.ts'

export interface RedisDatabasesOptions {
  readonly address: Address
  /** Number of logical databases of the server; database 0 is not leased. */
  readonly count: number
  /** Number of databases to prepare at the start. */
  readonly target: number
  /** Loads the seeds into a leased database. */
  readonly seed: (address: RedisAddress) => Promise<void>
  readonly clock: Clock
  /** Called once for each lease whose clients stay connected after it has ended. */
  readonly onClientsLeft: (owner: string) => void
  readonly late: LateCommands
}

/** A free database. `ready` is its pending or finished reset; undefined if none was started. */
interface Free {
  readonly database: number
  ready?: Promise<void>
}

/**
 * Leases the logical databases of one Redis. They separate only keys: `FLUSHALL`, settings, channels, scripts and users
 * affect the whole server.
 */
export class RedisDatabases implements LeaseSource<RedisAddress> {
  readonly #options: RedisDatabasesOptions
  /**
   * The database that was released first is leased first, as a forgotten client may reconnect to a recently released
   * one.
   */
  readonly #free: Free[]
  readonly #reused = new ReusedItems<number>()
  readonly #waiting: PromiseWithResolvers<Free>[] = []
  readonly #settling = new BackgroundTasks()
  readonly #closing = new AbortController()

  constructor(options: RedisDatabasesOptions) {
    this.#options = options
    this.#free = Array.from({ length: options.count - 1 }, (_, index) => ({ database: index + 1 }))
    // A failure is ignored here, as the lease that acquires the database reports it.
    this.#free.slice(0, options.target).forEach((free) => void this.#prepare(free).catch(() => {}))
  }

  async acquire({ reuse }: Pick<AcquireRequest, 'reuse'>): Promise<RedisAddress> {
    return this.#addressOf(await this.#reused.acquire(reuse, () => this.#acquireFresh()))
  }

  release(address: RedisAddress, info: ReleaseInfo): void {
    const { database = 0 } = address
    this.#options.late.forget(address)
    if (!this.#reused.release(database)) {
      const look = { count: () => countClientsOf(this.#addressOf(database)), clock: this.#options.clock }
      const { onClientsLeft } = this.#options
      const { signal } = this.#closing
      const onQuiet = () => this.#release(database)
      this.#settling.add(releaseWithoutClients(look, info, { onClientsLeft, onQuiet, signal }))
    }
  }

  /** Resets and seeds the unleased databases again. Call it when the seeds have changed. */
  discard(): void {
    for (const free of this.#free) {
      if (free.ready) {
        // The first reset may still be running.
        free.ready = free.ready.catch(() => {}).then(() => this.#empty(this.#addressOf(free.database)))
        free.ready.catch(() => {})
      }
    }
  }

  /** Resolves when all files that left clients connected have been reported. */
  settle(): Promise<void> {
    return this.#settling.settle()
  }

  close(): void {
    this.#closing.abort()
  }

  idle(address: RedisAddress): Promise<void> {
    return this.#options.late.listen(address)
  }

  async reset(address: RedisAddress, { file }: LastUse): Promise<void> {
    await this.#empty(address)
    await this.#options.late.report(address, file)
  }

  async #empty(address: RedisAddress): Promise<void> {
    try {
      await withRedis(address, (client) => client.flushdb())
      await this.#options.seed(address)
    } catch (error) {
      throw error instanceof InfraError ? error : notEmptied(address, error)
    }
  }

  async #acquireFresh(): Promise<number> {
    const free = this.#free.shift() ?? this.#acquireUsed() ?? (await this.#wait())
    try {
      await this.#prepare(free)
    } catch (error) {
      this.#offer({ database: free.database })
      throw error
    }
    return free.database
  }

  #release(database: number): void {
    if (!this.#closing.signal.aborted) {
      const free = { database }
      void this.#prepare(free).catch(() => {})
      this.#offer(free)
    }
  }

  #acquireUsed(): Free | undefined {
    const database = this.#reused.removeOldest()
    return database === undefined ? undefined : { database }
  }

  #wait(): Promise<Free> {
    const waiting = Promise.withResolvers<Free>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  #offer(free: Free): void {
    const next = this.#waiting.shift()
    if (next) {
      next.resolve(free)
    } else {
      this.#free.push(free)
    }
  }

  /** Resolves when the database is reset; starts the reset unless it was started before. */
  #prepare(free: Free): Promise<void> {
    free.ready ??= this.#empty(this.#addressOf(free.database))
    return free.ready
  }

  #addressOf(database: number): RedisAddress {
    return { ...this.#options.address, database }
  }
}

function notEmptied({ host, port, database }: RedisAddress, error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot empty database ${database} of the Redis on ${host}:${port} for a lease: ${messageOf(error)}`,
    remedy: "Set redis.isolation to 'server' if tests change settings or users of the server",
    service: 'redis',
    cause: error,
  })
}
