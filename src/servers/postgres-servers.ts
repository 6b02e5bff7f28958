import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import type { Report } from '../report/events.ts'
import { answersPostgres } from '../services/postgres.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { Address, ServerInstance } from '../services/service.ts'
import { DEFAULT_TEMPLATE } from '../config/resolve-spec.ts'
import type { Databases } from '../databases/databases.ts'
import type { AcquireRequest, DatabaseSource, Held, LastUse } from '../leasing/lease-broker.ts'
import type { ServerAction } from '../leasing/lease-protocol.ts'
import { PostgresServer } from './postgres-server.ts'
import type { Counts, Use } from '../leasing/lease-use.ts'
import { type PooledServers, ServerPool } from './server-pool.ts'
import type { Templates } from '../databases/templates.ts'

export interface PostgresServersOptions extends PooledServers {
  readonly runId: string
  /** The main server, as a superuser reaches it; the others differ from it in host and port. */
  readonly address: PostgresAddress
  /** Databases of the main server, for tests of files that have no server of their own. */
  readonly main: Databases
  /** Builds the templates and takes the copy of the main server that every other one starts as. */
  readonly takeBase: () => Promise<void>
  readonly createTemplates: (admin: PostgresAdmin) => Templates
  readonly report: Report
}

/** A leased database and its server; none: the main one. */
interface Leased {
  readonly databases: Databases
  readonly address: Address | undefined
  /** Whether the whole server was leased with it, and is given back with it. */
  readonly isFiles: boolean
  readonly reuse: boolean
}

/**
 * PostgreSQL servers, each for one file at a time. Between two leases a server is replaced, data and process, which is
 * the one way to be rid of all that a test can change in it: roles, slots, settings, other databases.
 */
export class PostgresServers implements DatabaseSource {
  readonly #options: PostgresServersOptions
  readonly #pool: ServerPool
  readonly #running = new Map<number, PostgresServer>()
  readonly #leased = new Map<string, Leased>()
  /** The counters of each server, by its port, before it was leased. */
  readonly #unused = new Map<number, Counts>()
  #base: Promise<void> = Promise.resolve()
  #serverCount = 0

  constructor(options: PostgresServersOptions) {
    const { instances, target, clock, startupTimeoutMs } = options
    this.#options = options
    this.#pool = new ServerPool({
      instances: instances.map((instance) => this.#onBase(instance)),
      target,
      clock,
      startupTimeoutMs,
      answers: (address) => answersPostgres({ ...options.address, ...address }),
      prepare: (address) => this.#open(address),
      notStarted,
    })
  }

  /** Has servers started from what the main one is now; every other one is replaced before it is leased again. */
  async renew(): Promise<void> {
    this.#base = this.#options.takeBase()
    // Those that start from now on wait for it.
    this.#pool.discard()
    // The next request for a server reports a failure.
    await this.#base.catch(() => {})
  }

  /** For a file a server with a database, for a test a database on the server of its file. */
  acquire(request: AcquireRequest, beside?: Held): Promise<string> {
    return beside ? this.#takeBeside(request, beside) : this.#takeServer(request)
  }

  release(database: string): void {
    const { databases, address, isFiles, reuse } = this.#find(database)
    this.#leased.delete(database)
    // All databases of a server that is replaced go with it.
    if (!isFiles || reuse) {
      databases.release(database)
    }
    if (isFiles && address) {
      this.#pool.release(address, { isUserGone: false })
    }
  }

  async reset(database: string, use: LastUse): Promise<void> {
    await this.#find(database).databases.reset(database, use)
  }

  sessionsOf(database: string): Promise<readonly string[]> {
    return this.#find(database).databases.sessionsOf(database)
  }

  /** On a file's own server nothing is shared; but the main one is there for all. */
  async useOf(database?: string): Promise<Use> {
    const [connections, main] = await Promise.all([
      database === undefined ? NaN : this.#connectionsTo(this.#find(database), database),
      this.#options.main.useOf?.(),
    ])
    return { common: new Map(), ...main, connections }
  }

  addressOf(database: string): Address | undefined {
    return this.#find(database).address
  }

  async control(database: string, action: ServerAction): Promise<void> {
    const { address } = this.#find(database)
    await (address && this.#pool.control(address, action))
  }

  /** Starts no more: their container is about to go. */
  async close(): Promise<void> {
    this.#pool.close()
    await Promise.all([...this.#running.values()].map((server) => server.close()))
  }

  async #takeServer(request: AcquireRequest): Promise<string> {
    const address = await this.#pool.acquire(request)
    try {
      return await this.#lease(request, { address, isFiles: true })
    } catch (error) {
      this.#pool.release(address, { isUserGone: true })
      throw error
    }
  }

  #takeBeside(request: AcquireRequest, { database }: Held): Promise<string> {
    const address = database === undefined ? undefined : this.#find(database).address
    return this.#lease(request, { address, isFiles: false })
  }

  async #lease(request: AcquireRequest, place: Pick<Leased, 'address' | 'isFiles'>): Promise<string> {
    const server = place.address && this.#running.get(place.address.port)
    const databases = server?.databases ?? this.#options.main
    const database = await databases.acquire(request)
    this.#leased.set(database, { ...place, databases, reuse: request.reuse })
    return database
  }

  /** A process that was just replaced, and all we know of the one before it. */
  async #open(address: Address): Promise<void> {
    const { runId, clock, createTemplates, report } = this.#options
    void this.#running.get(address.port)?.close()
    this.#serverCount += 1
    const server = await PostgresServer.open({
      address: { ...this.#options.address, ...address },
      id: `${runId}_s${this.#serverCount}`,
      createTemplates,
      clock,
      report,
    })
    this.#running.set(address.port, server)
    // Most files want this one.
    await server.databases.warm(DEFAULT_TEMPLATE)
    const use = await server.databases.useOf?.()
    this.#unused.set(address.port, use?.common ?? new Map())
  }

  /** On a server of one's own, those to all its databases. */
  async #connectionsTo({ databases, address }: Leased, database: string): Promise<number> {
    const use = await databases.useOf?.(database)
    const before = address && this.#unused.get(address.port)
    const others = before ? [...(use?.common ?? [])].map(([name, count]) => count - (before.get(name) ?? 0)) : []
    return others.reduce((sum, count) => sum + count, use?.connections ?? NaN)
  }

  #onBase(instance: ServerInstance): ServerInstance {
    return {
      ...instance,
      restart: async () => {
        await this.#base
        await instance.restart()
      },
    }
  }

  #find(database: string): Leased {
    const leased = this.#leased.get(database)
    if (!leased) {
      throw new RangeError(`Database ${database} is not leased`)
    }
    return leased
  }
}

function notStarted({ host, port }: Address, error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot start a PostgreSQL for a lease on ${host}:${port}: ${messageOf(error)}`,
    remedy:
      "Correct postgres.settings (it takes wal_level 'replica' or more), raise startupTimeoutMs if it only needs longer, or set postgres.isolation to 'database'",
    service: 'postgres',
    cause: error,
  })
}
