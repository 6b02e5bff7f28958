import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import type { Report } from '../report/events.ts'
import { answersPostgres } from '../services/postgres.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { Address, ServerInstance } from '../services/service.ts'
import { DEFAULT_TEMPLATE } from '../config/resolve-spec.ts'
import type { Databases } from '../databases/databases.ts'
import type {
  AcquireRequest,
  Counts,
  DatabaseSource,
  LastUse,
  Leased,
  ServerAction,
  Use,
} from '../leasing/lease-source.ts'
import { PostgresServer } from './postgres-server.ts'
import { type PooledServers, ServerPool } from './server-pool.ts'
import type { Templates } from '../databases/templates.ts'

export interface PostgresServersOptions extends PooledServers {
  readonly runId: string
  /** Address of the main server, with a superuser's credentials; the other servers differ in host and port. */
  readonly address: PostgresAddress
  /** Databases of the main server, for files without their own server. */
  readonly main: Databases
  /** Builds the templates and copies the main server; every other server starts from this copy. */
  readonly takeBase: () => Promise<void>
  readonly createTemplates: (admin: PostgresAdmin) => Templates
  readonly report: Report
}

/** A leased database with its server. `address` is undefined for the main server. */
interface LeasedDatabase {
  readonly databases: Databases
  readonly address: Address | undefined
  /** Whether the whole server is leased and released with the database. */
  readonly hasServer: boolean
  readonly reuse: boolean
}

/**
 * Leases PostgreSQL servers, each to one file at a time. Between two leases, a server's data and process are replaced.
 * Nothing else undoes every possible change of a test: roles, slots, settings, other databases.
 */
export class PostgresServers implements DatabaseSource {
  readonly #options: PostgresServersOptions
  readonly #pool: ServerPool
  readonly #running = new Map<number, PostgresServer>()
  readonly #leased = new Map<string, LeasedDatabase>()
  /** Usage counters of each server before its lease, by port. */
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

  /** Copies the main server again. Every other server is replaced before its next lease. */
  async renew(): Promise<void> {
    this.#base = this.#options.takeBase()
    // Servers that start from now on wait for this copy.
    this.#pool.discard()
    // A failure is ignored here, as the next request for a server reports it.
    await this.#base.catch(() => {})
  }

  /**
   * Leases a server with a database to a file. If `file` is given, leases a database on the server of that file to a
   * single test.
   */
  acquire(request: AcquireRequest, file?: Leased): Promise<string> {
    return file ? this.#acquireOnServer(request, file) : this.#acquireServer(request)
  }

  release(database: string): void {
    const { databases, address, hasServer, reuse } = this.#find(database)
    this.#leased.delete(database)
    // The replacement of a server removes all its databases.
    if (!hasServer || reuse) {
      databases.release(database)
    }
    if (hasServer && address) {
      this.#pool.release(address, { isUserGone: false })
    }
  }

  async reset(database: string, use: LastUse): Promise<void> {
    await this.#find(database).databases.reset(database, use)
  }

  sessionsOf(database: string): Promise<readonly string[]> {
    return this.#find(database).databases.sessionsOf(database)
  }

  /** Returns the usage of a file's server, and of the main server, which all files share. */
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

  /** Stops starting servers, and closes the connections to running ones; their container is about to be removed. */
  async close(): Promise<void> {
    this.#pool.close()
    await Promise.all([...this.#running.values()].map((server) => server.close()))
  }

  async #acquireServer(request: AcquireRequest): Promise<string> {
    const address = await this.#pool.acquire(request)
    try {
      return await this.#lease(request, { address, hasServer: true })
    } catch (error) {
      this.#pool.release(address, { isUserGone: true })
      throw error
    }
  }

  #acquireOnServer(request: AcquireRequest, { database }: Leased): Promise<string> {
    const address = database === undefined ? undefined : this.#find(database).address
    return this.#lease(request, { address, hasServer: false })
  }

  async #lease(request: AcquireRequest, target: Pick<LeasedDatabase, 'address' | 'hasServer'>): Promise<string> {
    const server = target.address && this.#running.get(target.address.port)
    const databases = server?.databases ?? this.#options.main
    const database = await databases.acquire(request)
    this.#leased.set(database, { ...target, databases, reuse: request.reuse })
    return database
  }

  /** Connects to a new server process, and closes the connections to the previous one. */
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
    // The default template is prepared ahead of time, as most files use it.
    await server.databases.warm(DEFAULT_TEMPLATE)
    const use = await server.databases.useOf?.()
    this.#unused.set(address.port, use?.common ?? new Map())
  }

  /** Counts the connections to a database; on a leased server, counts those to all its databases. */
  async #connectionsTo({ databases, address }: LeasedDatabase, database: string): Promise<number> {
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

  #find(database: string): LeasedDatabase {
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
      "Correct postgres.settings (wal_level must be 'replica' or higher), raise startupTimeoutMs if it only needs more time, or set postgres.isolation to 'database'",
    service: 'postgres',
    cause: error,
  })
}
