import { InfraError, messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { answersPing, type RedisState, resetRedis } from '../services/redis-admin.ts'
import type { Address, SiblingServer } from '../services/service.ts'
import type { AcquireRequest, LeaseSource } from './lease-broker.ts'

const POLL_MS = 3
const START_LIMIT_MS = 10_000

export interface RedisServersOptions {
  readonly siblings: readonly SiblingServer[]
  /** How many to keep ready. */
  readonly target: number
  readonly clock: Clock
  /** What a server starts with. */
  readonly state: RedisState
  /** Loads what every lease begins with. */
  readonly seed: (address: Address) => Promise<void>
  /** Told of a server whose users are cut off, since it could not be reset in any other way. */
  readonly onReplaced: (reason: string) => void
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
  /** Given back as they were left, for whoever takes used ones. */
  readonly #used: SiblingServer[] = []
  /** Ports of those in somebody's hands that are to be kept so. */
  readonly #toKeep = new Set<number>()
  readonly #waiting: PromiseWithResolvers<SiblingServer>[] = []
  #starting = 0
  #closed = false

  constructor(options: RedisServersOptions) {
    this.#options = options
    this.#byPort = new Map(options.siblings.map((sibling) => [sibling.address.port, sibling]))
    this.#idle = [...options.siblings]
  }

  async take({ reuse }: Pick<AcquireRequest, 'reuse'>): Promise<Address> {
    const { address } = (reuse ? await this.#takeUsed() : undefined) ?? (await this.#takeFresh())
    if (reuse) {
      this.#toKeep.add(address.port)
    }
    return address
  }

  give({ port }: Address): void {
    const sibling = this.#byPort.get(port)
    if (sibling) {
      const isKept = this.#toKeep.delete(port)
      const free = isKept ? this.#used : this.#idle
      free.push(sibling)
      this.fill()
    }
  }

  /** Clients stay connected, unless a test has locked us out: then its process is replaced, too. */
  async reset(address: Address): Promise<void> {
    const { state, seed, onReplaced } = this.#options
    const sibling = this.#byPort.get(address.port)
    try {
      await resetRedis(address, state)
      await seed(address)
    } catch (error) {
      onReplaced(messageOf(error))
      await (sibling && this.#renew(sibling))
    }
  }

  /** Starts no more, and waits no more for those that are starting: their container is about to go. */
  close(): void {
    this.#closed = true
  }

  /** Hands ready servers to those who wait, and starts as many as are missing. */
  fill(): void {
    while (this.#waiting.length > 0 && this.#ready.length > 0) {
      this.#waiting.shift()?.resolve(this.#ready.shift() as SiblingServer)
    }
    if (this.#waiting.length > 0 && this.#idle.length === 0 && this.#starting === 0) {
      // Better a new one for who waits than an old one for nobody.
      this.#idle.push(...this.#used.splice(0, 1))
    }
    while (
      !this.#closed &&
      this.#idle.length > 0 &&
      this.#ready.length + this.#starting < this.#waiting.length + this.#options.target
    ) {
      void this.#start(this.#idle.shift() as SiblingServer)
    }
  }

  /** Unless its last user has ended it. */
  async #takeUsed(): Promise<SiblingServer | undefined> {
    const sibling = this.#used.pop()
    if (sibling && !(await answersPing(sibling.address))) {
      this.#idle.push(sibling)
      return undefined
    }
    return sibling
  }

  #takeFresh(): Promise<SiblingServer> {
    const taken = Promise.withResolvers<SiblingServer>()
    this.#waiting.push(taken)
    this.fill()
    return taken.promise
  }

  async #start(sibling: SiblingServer): Promise<void> {
    this.#starting += 1
    let isWanted = true
    try {
      await this.#renew(sibling)
      this.#ready.push(sibling)
    } catch (error) {
      this.#idle.push(sibling)
      this.#waiting.shift()?.reject(error)
      // Not tried again for nobody, time after time.
      isWanted = this.#waiting.length > 0
    }
    this.#starting -= 1
    if (isWanted) {
      this.fill()
    }
  }

  /** Replaces its process. */
  async #renew(sibling: SiblingServer): Promise<void> {
    try {
      await sibling.restart()
      await this.#awaitPing(sibling)
      await this.#options.seed(sibling.address)
    } catch (error) {
      throw notStarted(sibling, error)
    }
  }

  async #awaitPing({ address }: SiblingServer): Promise<void> {
    const { clock } = this.#options
    const deadlineMs = clock.now() + START_LIMIT_MS
    while (!(await answersPing(address))) {
      if (this.#closed || clock.now() > deadlineMs) {
        throw new Error(this.#closed ? 'the run is ending' : `no answer within ${START_LIMIT_MS} ms`)
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
