import { randomBytes } from 'node:crypto'
import { InfraError, messageOf } from '../errors.ts'
import {
  answersPing,
  countCommands,
  countConnections,
  countClients,
  resetClientCount,
  readRedisState,
  type RedisState,
  resetRedis,
} from '../services/redis-admin.ts'
import type { Address, ClientCount } from '../services/service.ts'
import type { LateCommands } from '../databases/late-commands.ts'
import { LeaseProxy } from './lease-proxy.ts'
import type { AcquireRequest, LastUse, LeaseSource, ReleaseInfo, ServerAction, Use } from '../leasing/lease-source.ts'
import { type PooledServers, ServerPool } from './server-pool.ts'
import type { Lock } from './server-slot.ts'

/** Name of the main server in the summary. */
const MAIN = 'main'

export interface RedisServersOptions extends PooledServers {
  /** The main server, which is not leased. */
  readonly main: Address
  /** The state with which a server starts. */
  readonly state: RedisState
  /** Loads the seeds into a server. */
  readonly seed: (address: Address) => Promise<void>
  /**
   * Called with the reason when a server is replaced because it could not be reset. The replacement disconnects its
   * clients.
   */
  readonly onReplaced: (reason: string) => void
  /** Called once for each ended lease whose clients still connect to its server. */
  readonly onClientsLeft: (owner: string) => void
  readonly late: LateCommands
}

/**
 * Leases Redis servers, each to one user at a time. Between two leases, a server's process is replaced. Nothing else
 * undoes every possible change of a test: data, configuration, scripts, functions, users and clients.
 */
export class RedisServers implements LeaseSource<Address> {
  readonly #options: RedisServersOptions
  readonly #pool: ServerPool
  /** Number of our own connections to each server so far, by port. */
  readonly #own = new Map<number, number>()
  /** Initial state of locked servers, by the port of their proxy. */
  readonly #lockedStates = new Map<number, RedisState>()

  constructor(options: RedisServersOptions) {
    const { instances, target, clock, startupTimeoutMs, onClientsLeft } = options
    this.#options = options
    this.#pool = new ServerPool({
      instances,
      target,
      clock,
      startupTimeoutMs,
      answers: answersPing,
      prepare: (address, { isLocked }) => this.#prepare(address, isLocked),
      notStarted,
      guard: {
        count: (address) => this.#countClients(address),
        resetCount: resetClientCount,
        lock: lockRedis,
        onClientsLeft,
      },
    })
  }

  async acquire({ reuse }: Pick<AcquireRequest, 'reuse'>): Promise<Address> {
    const address = await this.#pool.acquire({ reuse })
    if (!this.#own.has(address.port)) {
      this.#own.set(address.port, await countConnections(address))
    }
    return address
  }

  release(address: Address, info: ReleaseInfo): void {
    this.#options.late.forget(address)
    this.#lockedStates.delete(address.port)
    this.#pool.release(address, info)
  }

  /** Restarts and seeds the unleased servers. Call it when the seeds have changed. */
  discard(): void {
    this.#pool.discard()
  }

  async idle(address: Address): Promise<void> {
    this.#own.set(address.port, (this.#own.get(address.port) ?? NaN) + 1)
    await this.#options.late.listen(address)
  }

  /**
   * Resets a server while its clients stay connected. If that fails, for example because a test has locked us out,
   * replaces its process.
   */
  async reset(address: Address, { file }: LastUse): Promise<void> {
    const { state, seed, onReplaced, late } = this.#options
    try {
      await resetRedis(address, this.#lockedStates.get(address.port) ?? state)
      await seed(address)
    } catch (error) {
      onReplaced(messageOf(error))
      await this.#pool.replace(address)
    }
    await late.report(address, file)
  }

  async useOf(address?: Address): Promise<Use> {
    const connections = address ? await this.#connectionsTo(address) : NaN
    const isUsed = address && connections !== 0
    return { connections, common: new Map(isUsed ? [] : [[MAIN, await countCommands(this.#options.main)]]) }
  }

  async #connectionsTo(address: Address): Promise<number> {
    const own = (this.#own.get(address.port) ?? NaN) + 1
    this.#own.set(address.port, own)
    return (await countConnections(address)) - own
  }

  /**
   * Counts the clients of a server before a lease. All connections counted so far are our own, as this count is the
   * last step before the lease.
   */
  async #countClients(address: Address): Promise<ClientCount> {
    const count = await countClients(address)
    this.#own.set(address.port, count.connections)
    return count
  }

  control(address: Address, action: ServerAction): Promise<void> {
    return this.#pool.control(address, action)
  }

  fill(): void {
    this.#pool.fill()
  }

  /** Resolves when all files that left clients connected have been reported. */
  settle(): Promise<void> {
    return this.#pool.settle()
  }

  close(): void {
    this.#pool.close()
  }

  async #prepare(address: Address, isLocked: boolean): Promise<void> {
    if (isLocked) {
      this.#lockedStates.set(address.port, await readRedisState(address))
    }
    await this.#options.seed(address)
    // The connections are counted again when the server is leased.
    this.#own.delete(address.port)
  }
}

/** Protects a Redis with a password that only its proxy knows. */
async function lockRedis(address: Address): Promise<Lock> {
  const password = randomBytes(16).toString('hex')
  const proxy = await LeaseProxy.open(address, { request: `AUTH ${password}\r\n`, reply: '+OK\r\n' })
  return { proxy, args: ['--requirepass', password] }
}

function notStarted({ host, port }: Address, error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot start a Redis for a lease on ${host}:${port}: ${messageOf(error)}`,
    remedy:
      "Correct redis.args, raise startupTimeoutMs if it only needs more time, or set redis.isolation to 'database'",
    service: 'redis',
    cause: error,
  })
}
