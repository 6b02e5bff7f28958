import type { RedisAddress } from '../environment/variable-set.ts'
import { LateCommands } from '../databases/late-commands.ts'
import type { LeaseSource } from '../leasing/lease-source.ts'
import { type LeaseLimit, limitRedises } from '../leasing/lease-limit.ts'
import type { RedisDatabases } from '../databases/redis-databases.ts'
import type { RedisServers } from '../servers/redis-servers.ts'
import { defineRedis, loadRedis } from '../services/redis.ts'
import { digestRedisState, readRedisState, type RedisState, resetRedis } from '../services/redis-admin.ts'
import type { HealthyService, ServiceDefinition } from '../services/service.ts'
import type { ResolvedRedis } from '../config/resolve-spec.ts'
import type { BackendContext } from '../leasing/backend-context.ts'
import { RedisSeeds } from '../databases/redis-seeds.ts'

/** Redis in a container or as a local process: the main server, its seeds, and the servers or databases to lease. */
export class ManagedRedisBackend {
  readonly definition: ServiceDefinition
  readonly #seeds: RedisSeeds
  readonly #context: BackendContext
  readonly #isolation: ResolvedRedis['isolation']
  #leases: RedisServers | RedisDatabases | undefined
  #limit: LeaseLimit | undefined

  private constructor(spec: ResolvedRedis, context: BackendContext) {
    this.#seeds = new RedisSeeds(spec, context.root)
    this.#context = context
    this.#isolation = spec.isolation
    // One for each worker's file, and as many again for tests that lease their own.
    const instances = spec.isolation === 'server' ? context.workers * 2 : 0
    this.definition = { ...defineRedis(spec, instances), prepare: (server) => this.#prepare(server) }
  }

  static plan(spec: ResolvedRedis, context: BackendContext): ManagedRedisBackend {
    return new ManagedRedisBackend(spec, context)
  }

  /** Reads the list of seed files again. If they changed, idle servers with the old seeds are discarded. */
  refresh(): void {
    if (this.#seeds.refresh()) {
      this.#leases?.discard()
    }
  }

  /** The servers or databases to lease; undefined until the main server is prepared. */
  get leases(): LeaseSource<RedisAddress> | undefined {
    return this.#leases
  }

  /** How many servers or databases may be leased at once. */
  get limit(): LeaseLimit | undefined {
    return this.#limit
  }

  /** Always undefined: the main database is database 0. */
  get main(): number | undefined {
    return undefined
  }

  /** Resolves once every released lease has been checked for clients that are still connected. */
  async settle(): Promise<void> {
    await this.#leases?.settle()
  }

  close(): void {
    this.#leases?.close()
  }

  /** Loads the modules that a healthy server needs, while the server starts. */
  async load() {
    const [servers, databases] = await Promise.all([
      import('../servers/redis-servers.ts'),
      import('../databases/redis-databases.ts'),
      loadRedis(),
    ])
    return { ...servers, ...databases }
  }

  async #prepare(server: HealthyService): Promise<void> {
    const { clock, report } = this.#context
    const beganMs = clock.now()
    // Closes the leases of the previous server, if one was lost.
    this.close()
    const state = await readRedisState(server.address)
    await this.#resetAttached(server, state)
    await this.#seeds.load(server.address)
    if (this.#seeds.count > 0) {
      report({ type: 'seeds-loaded', service: 'redis', files: this.#seeds.count, elapsedMs: clock.now() - beganMs })
    }
    this.#leases = await (this.#isolation === 'server'
      ? this.#openServers(server, state)
      : this.#openDatabases(server, state))
  }

  /**
   * Removes the data of an earlier run; throws if that run changed settings or users. Stores the state of a new server
   * as its note.
   */
  async #resetAttached({ address, snapshot, reuse }: HealthyService, state: RedisState): Promise<void> {
    const digest = digestRedisState(state)
    if (snapshot.kind !== 'attached') {
      reuse?.note(digest)
    } else if (snapshot.note === digest) {
      await resetRedis(address, state)
    } else {
      throw new Error('its settings or its users were changed')
    }
  }

  async #openServers({ address, instances }: HealthyService, state: RedisState): Promise<RedisServers> {
    const { RedisServers } = await this.load()
    const { clock, report, workers, startupTimeoutMs } = this.#context
    this.#limit = limitRedises(instances.length, 'server')
    const servers = new RedisServers({
      main: address,
      instances,
      target: workers + 1,
      clock,
      startupTimeoutMs,
      state,
      seed: (instance) => this.#seeds.load(instance),
      late: new LateCommands(report),
      onReplaced: (reason) => report({ type: 'server-replaced', service: 'redis', reason }),
      onClientsLeft: (owner) => this.#reportClientsLeft(owner),
    })
    servers.fill()
    return servers
  }

  async #openDatabases({ address }: HealthyService, { configuration }: RedisState): Promise<RedisDatabases> {
    const { RedisDatabases } = await this.load()
    const count = Number(configuration.get('databases'))
    // Database 0 is the main database, which is not leased.
    this.#limit = limitRedises(count - 1, 'database')
    return new RedisDatabases({
      address,
      count,
      target: this.#context.workers + 1,
      seed: (database) => this.#seeds.load(database),
      clock: this.#context.clock,
      late: new LateCommands(this.#context.report),
      onClientsLeft: (owner) => this.#reportClientsLeft(owner),
    })
  }

  #reportClientsLeft(owner: string): void {
    this.#context.report({ type: 'clients-left', owner })
  }
}
