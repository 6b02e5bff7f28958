import { InfraError, messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { answersPing, resetRedis } from '../services/redis-admin.ts'
import type { Address, SiblingServer } from '../services/service.ts'
import type { LeaseSource } from './lease-broker.ts'

const POLL_MS = 3
const START_LIMIT_MS = 10_000

export interface RedisServersOptions {
  readonly siblings: readonly SiblingServer[]
  /** How many to keep ready. */
  readonly target: number
  readonly clock: Clock
  /** The settings that a server starts with. */
  readonly configuration: ReadonlyMap<string, string>
  /** Loads what every lease begins with. */
  readonly seed: (address: Address) => Promise<void>
}

/**
 * Redis servers, each for one lease at a time. Between two leases a server's process is replaced, which is the one way
 * to be rid of everything that a test can change in it: data, configuration, scripts, functions, users and clients.
 */
export class RedisServers implements LeaseSource<Address> {
  readonly #options: RedisServersOptions
  readonly #byPort: ReadonlyMap<number, SiblingServer>
  readonly #idle: SiblingServer[]
  readonly #ready: SiblingServer[] = []
  readonly #waiting: PromiseWithResolvers<SiblingServer>[] = []
  #starting = 0

  constructor(options: RedisServersOptions) {
    this.#options = options
    this.#byPort = new Map(options.siblings.map((sibling) => [sibling.address.port, sibling]))
    this.#idle = [...options.siblings]
  }

  async take(): Promise<Address> {
    const taken = Promise.withResolvers<SiblingServer>()
    this.#waiting.push(taken)
    this.fill()
    return (await taken.promise).address
  }

  give({ port }: Address): void {
    const sibling = this.#byPort.get(port)
    if (sibling) {
      this.#idle.push(sibling)
      this.fill()
    }
  }

  async reset(address: Address): Promise<void> {
    await resetRedis(address, this.#options.configuration)
    await this.#options.seed(address)
  }

  /** Hands ready servers to those who wait, and starts as many as are missing. */
  fill(): void {
    while (this.#waiting.length > 0 && this.#ready.length > 0) {
      this.#waiting.shift()?.resolve(this.#ready.shift() as SiblingServer)
    }
    while (this.#idle.length > 0 && this.#ready.length + this.#starting < this.#waiting.length + this.#options.target) {
      void this.#start(this.#idle.shift() as SiblingServer)
    }
  }

  async #start(sibling: SiblingServer): Promise<void> {
    this.#starting += 1
    try {
      await sibling.restart()
      await this.#awaitPing(sibling)
      await this.#options.seed(sibling.address)
      this.#ready.push(sibling)
    } catch (error) {
      this.#idle.push(sibling)
      this.#waiting.shift()?.reject(notStarted(sibling, error))
    } finally {
      this.#starting -= 1
    }
    this.fill()
  }

  async #awaitPing({ address }: SiblingServer): Promise<void> {
    const { clock } = this.#options
    const deadlineMs = clock.now() + START_LIMIT_MS
    while (!(await answersPing(address))) {
      if (clock.now() > deadlineMs) {
        throw new Error(`no answer within ${START_LIMIT_MS} ms`)
      }
      await clock.sleep(POLL_MS)
    }
  }
}

function notStarted({ address }: SiblingServer, error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot start a Redis for a lease on ${address.host}:${address.port}: ${messageOf(error)}`,
    remedy: "Correct redis.args, or set redis.isolation to 'database'",
    service: 'redis',
    cause: error,
  })
}
