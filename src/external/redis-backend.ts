import type { RedisAddress } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import { ClaimedRedisDatabases } from './claimed-redis-databases.ts'
import { LateCommands } from '../databases/late-commands.ts'
import { type LeaseLimit, limitRedises } from '../leasing/lease-limit.ts'
import { ownDatabaseOnly } from '../seeds/own-database-only.ts'
import { defineRedis, loadRedis } from '../services/redis.ts'
import { RedisClaims } from './redis-claims.ts'
import type { HealthyService, ServiceDefinition } from '../services/service.ts'
import type { ResolvedRedis } from '../config/resolve-spec.ts'
import { cleanupFailed } from './cleanup-failed.ts'
import type { BackendContext } from '../leasing/backend-context.ts'
import { RedisSeeds } from '../databases/redis-seeds.ts'

/** Redis on an external server. Each lease is a logical database that the run has claimed. */
export class ExternalRedisBackend {
  readonly definition: ServiceDefinition
  readonly #server: ResolvedRedis['server']
  readonly #seeds: RedisSeeds
  readonly #context: BackendContext
  readonly #closing = new AbortController()
  #claims: RedisClaims | undefined
  #leases: ClaimedRedisDatabases | undefined

  private constructor(spec: ResolvedRedis, context: BackendContext) {
    this.#server = spec.server
    this.#seeds = new RedisSeeds(spec, context.root)
    this.#context = context
    this.definition = { ...defineRedis(spec), prepare: (server) => this.#prepare(server) }
  }

  static plan(spec: ResolvedRedis, context: BackendContext): ExternalRedisBackend {
    return new ExternalRedisBackend(spec, context)
  }

  /** Reads the seed files again. They are loaded when a database is leased. */
  refresh(): void {
    this.#seeds.refresh()
  }

  get leases(): ClaimedRedisDatabases | undefined {
    return this.#leases
  }

  get limit(): LeaseLimit | undefined {
    return this.#claims && limitRedises(this.#claims.count - 1, 'database')
  }

  /** Number of the run's main database. It is used instead of database 0, which may contain other users' data. */
  get main(): number | undefined {
    return this.#leases?.main.database
  }

  load(): Promise<void> {
    return loadRedis()
  }

  /** Resolves once every released lease has been checked for clients that are still connected. */
  async settle(): Promise<void> {
    await this.#leases?.settle()
  }

  /**
   * Cancels a wait for a database. Once all leases are released, empties the run's databases and releases its claims.
   */
  async close(leasesBack: Promise<void>, _letGo?: AbortSignal): Promise<void> {
    this.#closing.abort()
    await leasesBack
    await this.#leases?.settle()
    await this.#claims?.close().catch((error: unknown) => {
      throw cleanupFailed('redis', 'logical databases', error)
    })
  }

  async #prepare({ address }: HealthyService): Promise<void> {
    const { runId, clock, report } = this.#context
    const beganMs = clock.now()
    const place: RedisAddress = { ...this.#server, ...address }
    const claims = await RedisClaims.open(place, { runId, clock })
    this.#claims = claims
    await claims.sweep().catch((error: unknown) => {
      throw mayNotClaim(place, error)
    })
    const seed = (database: RedisAddress) => this.#seeds.load(database, ownDatabaseOnly)
    const leases = await ClaimedRedisDatabases.open({
      address: place,
      claims,
      seed,
      clock,
      late: new LateCommands(report),
      onWaiting: (reason) => report({ type: 'capacity-waiting', service: 'redis', reason }),
      onClientsLeft: (owner) => report({ type: 'clients-left', owner }),
      signal: this.#closing.signal,
    })
    if (this.#seeds.count > 0) {
      report({ type: 'seeds-loaded', service: 'redis', files: this.#seeds.count, elapsedMs: clock.now() - beganMs })
    }
    this.#leases = leases
  }
}

function mayNotClaim({ host, port, user }: RedisAddress, error: unknown): InfraError {
  return new InfraError('INFRA_ROLE_REFUSED', {
    problem: `Cannot claim databases of the Redis on ${host}:${port}: ${messageOf(error)}`,
    remedy: `Let user "${user ?? 'default'}" run EVAL, SELECT, FLUSHDB and the commands of your tests on all keys; a cluster is not supported`,
    service: 'redis',
    provider: 'external',
    cause: error,
  })
}
