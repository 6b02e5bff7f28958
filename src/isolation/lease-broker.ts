import type { StackFacts } from '../environment/infra-facts.ts'
import { postgresUrl, type RedisAddress, redisUrl } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Lease, LeaseRequest } from './lease-protocol.ts'

export type AcquireRequest = Pick<
  LeaseRequest & { type: 'acquire' },
  'project' | 'owner' | 'wants' | 'template' | 'reuse'
>

/** In a suite that never closes its pools all files leave some; looking takes each of them this long. */
const SETTLE_MS = 50
const MOST_FILES_TOLD_OF = 20

/** Where leased things of one kind come from and go back to. */
export interface LeaseSource<T> {
  /** Something that nobody else has, as soon as there is one. */
  take(request: AcquireRequest): Promise<T>
  /** Takes it back; what its last user left is removed behind the tests. */
  give(item: T): void
  /** Empties it while its user stays connected. */
  reset(item: T): Promise<void>
}

/** Databases can also tell who is connected to them. */
export interface DatabaseSource extends LeaseSource<string> {
  sessionsOf(database: string): Promise<readonly string[]>
}

export interface LeaseBrokerOptions {
  readonly stack: StackFacts
  /** Names of databases. */
  readonly databases: DatabaseSource
  /** Addresses of Redis servers, or of logical databases in one. */
  readonly redises: LeaseSource<RedisAddress>
  /** The variables of a project for what was leased. */
  readonly environment: (project: string, facts: StackFacts) => Readonly<Record<string, string>>
  readonly clock: Clock
  /** Told how long a lease was waited for. */
  readonly onGranted: (waitedMs: number) => void
  /** Told of a file that ended with connections open, by the names under which they are. */
  readonly onConnectionsLeft: (owner: string, sessions: readonly string[]) => void
}

interface Held {
  readonly database: string | undefined
  readonly redis: RedisAddress | undefined
}

/** Gives out databases and Redises for exclusive use, and takes them back. */
export class LeaseBroker {
  readonly #options: LeaseBrokerOptions
  readonly #held = new Map<number, Held>()
  #toldOf = 0
  #nextLease = 1

  constructor(options: LeaseBrokerOptions) {
    this.#options = options
  }

  async acquire(request: AcquireRequest): Promise<Lease> {
    const { clock, environment, onGranted } = this.#options
    const beganMs = clock.now()
    const held = await this.#take(request)
    onGranted(clock.now() - beganMs)
    const lease = this.#nextLease++
    this.#held.set(lease, held)
    const facts = this.#describe(held)
    return { lease, template: request.template, facts, env: environment(request.project, facts) }
  }

  async reset(lease: number): Promise<void> {
    const { database, redis } = this.#find(lease)
    const { databases, redises } = this.#options
    await Promise.all([database !== undefined && databases.reset(database), redis && redises.reset(redis)])
  }

  async finish(lease: number, owner: string): Promise<void> {
    const { database } = this.#find(lease)
    const isWanted = database !== undefined && this.#toldOf < MOST_FILES_TOLD_OF
    const sessions = isWanted ? await this.#sessionsLeft(database) : []
    if (sessions.length > 0) {
      this.#toldOf += 1
      this.#options.onConnectionsLeft(owner, sessions)
    }
  }

  release(lease: number): void {
    const held = this.#find(lease)
    this.#held.delete(lease)
    this.#give(held)
  }

  async #take(request: AcquireRequest): Promise<Held> {
    const { databases, redises } = this.#options
    const wants = (service: 'postgres' | 'redis') => request.wants.includes(service)
    const [database, redis] = await Promise.allSettled([
      wants('postgres') ? databases.take(request) : undefined,
      wants('redis') ? redises.take(request) : undefined,
    ])
    if (database.status === 'fulfilled' && redis.status === 'fulfilled') {
      return { database: database.value, redis: redis.value }
    }
    this.#give({
      database: database.status === 'fulfilled' ? database.value : undefined,
      redis: redis.status === 'fulfilled' ? redis.value : undefined,
    })
    throw database.status === 'rejected' ? database.reason : (redis as PromiseRejectedResult).reason
  }

  /** A session that its client has closed is still there for some milliseconds. */
  async #sessionsLeft(database: string): Promise<readonly string[]> {
    const { databases, clock } = this.#options
    for (let before = 0; ;) {
      const sessions = await databases.sessionsOf(database)
      if (sessions.length === 0 || sessions.length === before) {
        return sessions
      }
      before = sessions.length
      await clock.sleep(SETTLE_MS)
    }
  }

  #give({ database, redis }: Held): void {
    if (database !== undefined) {
      this.#options.databases.give(database)
    }
    if (redis) {
      this.#options.redises.give(redis)
    }
  }

  #find(lease: number): Held {
    const held = this.#held.get(lease)
    if (!held) {
      throw leaseUnknown(lease)
    }
    return held
  }

  /** The facts of the stack, seen from a lease. */
  #describe({ database, redis }: Held): StackFacts {
    const { stack } = this.#options
    const place = database === undefined ? undefined : { ...stack.postgres, database }
    return {
      ...stack,
      ...(place && { postgres: { ...place, url: postgresUrl(place) } }),
      ...(redis && { redis: { ...stack.redis, ...redis, url: redisUrl(redis) } }),
    }
  }
}

/** For a lease that the one who names it does not hold. */
export function leaseUnknown(lease: number): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot find lease ${lease}: it was given back already`,
    remedy: 'Use a database only inside the test or file that it was leased for',
  })
}

/** Stands where the stack has no such service. */
export function noSource(service: string): LeaseSource<never> & DatabaseSource {
  return {
    take() {
      throw new InfraError('INFRA_LEASE_FAILED', {
        problem: `Cannot lease from service "${service}": it is not part of the stack`,
        remedy: `Add '${service}' to services`,
        service,
      })
    },
    give() {},
    async reset() {},
    sessionsOf: async () => [],
  }
}
