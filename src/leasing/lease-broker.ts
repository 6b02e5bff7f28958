import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { type PostgresAddress, postgresUrl, type RedisAddress, redisUrl } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseLimit } from './lease-limit.ts'
import type { FailedTest, Lease, LeasedService, LeaseRequest, LogExcerpt, ServerAction } from './lease-protocol.ts'
import { type LeasedFile, LeaseUse, type Use, type UseFindings } from './lease-use.ts'
import { type Guest, LeaseQueue, type LeaseWait } from './lease-queue.ts'
import { serviceExternal, serviceMissing, serviceShared } from './service-refused.ts'

export type AcquireRequest = Pick<
  LeaseRequest & { type: 'acquire' },
  'project' | 'owner' | 'span' | 'wants' | 'template' | 'reuse' | 'beside' | 'test' | 'isAhead'
>

/** In a suite that never closes its pools all files leave some; looking takes each of them this long. */
const SETTLE_MS = 50
const LOOKS_THAT_SETTLE = 2
const MOST_FILES_TOLD_OF = 20
/** Reading a log takes some milliseconds, so it is read for the first failed tests of a run only. */
const MOST_TESTS_TOLD_OF = 20

export type FailedRequest = Pick<LeaseRequest & { type: 'failed' }, 'owner' | 'retain' | 'tests'>

/** How something that was leased comes back. */
export interface ReleaseInfo {
  /** Whether the process that used it has ended, so that nothing of it can come later. */
  readonly isUserGone: boolean
  /** The file, or the file and the test, that had it; for people. */
  readonly owner?: string
  /** Processes that it has started and that run when it ends. */
  readonly processes?: readonly number[]
}

/** How something was used that is reset for the next file. */
export interface LastUse {
  /** The file. */
  readonly file: string
  /** How long ago its tests and hooks were over, in milliseconds. */
  readonly idleMs: number
}

/** Where leased things of one kind come from and go back to. */
export interface LeaseSource<T> {
  /** Acquires an item for one user, as soon as there is one; `beside` is what the file of a test holds. */
  acquire(request: AcquireRequest, beside?: Held): Promise<T>
  /** Releases it; what its last user left is removed in the background. */
  release(item: T, info: ReleaseInfo): void
  /** Empties it while its user stays connected. */
  reset(item: T, use: LastUse): Promise<void>
  /** Says that its file is over. Clients that use it from now until the reset are reported. */
  idle?(item: T): Promise<void>
  /** Controls its server; only if no other lease uses that. */
  control?(item: T, action: ServerAction): Promise<void>
  /** How it and what all share was used so far; without it, only the latter. None: the use cannot be attributed. */
  useOf?(item?: T): Promise<Use>
}

/** What of an address is another than that of the main database. */
export type PostgresPlace = Partial<Pick<PostgresAddress, 'host' | 'port' | 'database' | 'parameters' | 'schema'>>

/** The database of a failed test, which stays when its lease is over. */
export interface RetainedDatabase {
  readonly database: string
  /** The file or test that failed in it. */
  readonly owner: string
}

/** Databases also list their sessions. Some read their server's log, or stay when their lease is over. */
export interface DatabaseSource extends LeaseSource<string> {
  sessionsOf(database: string): Promise<readonly string[]>
  /** Where it is, as far as that is not where the main one is. */
  addressOf?(database: string): PostgresPlace | undefined
  /** What the server's log says of each of these tests, which had this database. */
  logsOf?(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]>
  /** Has a leased database stay when it is given back. */
  retain?(retained: RetainedDatabase): void
  /** Those that were to stay and still do. */
  retained?(): readonly RetainedDatabase[]
  dropRetained?(): void
}

/** A stack, and what can be leased of it. */
export interface LeaseSources {
  readonly stack: StackFacts
  /** Names of databases. */
  readonly databases: DatabaseSource
  /** Addresses of Redis servers, or of logical databases in one. */
  readonly redises: LeaseSource<RedisAddress>
}

export interface LeaseBrokerOptions {
  readonly sources: LeaseSources
  /** How many of either there may be at once; none: as many as are asked for. */
  readonly limits: Partial<Record<LeasedService, LeaseLimit>>
  /** The variables of a project for what was leased. */
  readonly environment: (project: string, facts: StackFacts) => Readonly<Record<string, string>>
  readonly clock: Clock
  /** Called with the time that a request waited. */
  readonly onGranted: (waitedMs: number) => void
  /** Called when requests wait for long. */
  readonly onWaiting: (wait: LeaseWait) => void
  /** Called for a file that ended with open connections, with their names. */
  readonly onConnectionsLeft: (owner: string, sessions: readonly string[]) => void
  /** Called with the server's log of a failed test. */
  readonly onLog: (owner: string, log: LogExcerpt) => void
  /** Whether the stack is still there when its run is over, so that databases can be retained. */
  readonly livesOn: boolean
}

/** What one lease consists of. */
export interface Held {
  /** The identity of the holder in the queues. */
  readonly guest: Guest
  readonly database: string | undefined
  readonly redis: RedisAddress | undefined
  /** Where both come from, and go back to. */
  readonly sources: LeaseSources
}

/** What a test asks for. */
export interface ServiceControl {
  readonly service: LeasedService
  readonly action: ServerAction
}

/** Gives out databases and Redises for exclusive use, and takes them back. */
export class LeaseBroker {
  readonly #options: LeaseBrokerOptions
  readonly #held = new Map<number, Held>()
  readonly #limited: LeaseQueue[] = []
  /** Those that a file that is over has left running. */
  readonly #processes = new WeakMap<Guest, readonly number[]>()
  /** Which file has what was reset for it, by lease. */
  readonly #files = new Map<number, string>()
  readonly #queues: Readonly<Record<LeasedService, LeaseQueue | undefined>>
  readonly #use: LeaseUse
  /** Those that are, or were before a server was lost. */
  #sources: LeaseSources
  /** Those that are, or will be once what was lost is back. */
  #present: Promise<LeaseSources>
  #toldOf = 0
  #testsToldOf = 0
  #nextLease = 1

  constructor(options: LeaseBrokerOptions) {
    this.#options = options
    this.#sources = options.sources
    this.#present = Promise.resolve(options.sources)
    this.#queues = { postgres: this.#openQueue('postgres'), redis: this.#openQueue('redis') }
    const { databases, redises } = options.sources
    this.#use = new LeaseUse({ ...lookAt('postgres', databases), ...lookAt('redis', redises) }, options.clock)
  }

  /** To be called before the user's code connects: use counts from then on. */
  async watchUse(): Promise<void> {
    await this.#use.open()
  }

  /** `worker` identifies the worker's connection. */
  async acquire(request: AcquireRequest, worker: number): Promise<Lease> {
    const { clock, environment, onGranted } = this.#options
    const beganMs = clock.now()
    const { owner, span, test, project, wants, beside } = request
    const [held] = await Promise.all([this.#acquirePresent(request, { worker, owner, span, test }), this.#use.begin()])
    if (!request.isAhead) {
      onGranted(clock.now() - beganMs)
    }
    const lease = this.#nextLease++
    this.#held.set(lease, held)
    if (span === 'file') {
      this.#use.add(lease, {
        project,
        owner,
        looks: looksAt(held),
        isSharing: wants.length === 0,
        reuse: request.reuse,
      })
    } else if (beside !== undefined) {
      wants.forEach((service) => this.#use.markUsed(beside, service))
    }
    const facts = this.#describe(held)
    return { lease, template: request.template, facts, env: environment(request.project, facts) }
  }

  /** Resolves when there is room for what was acquired ahead of a test, which begins then. */
  async begin(lease: number, { owner, test }: Pick<Guest, 'owner' | 'test'>): Promise<void> {
    const { clock, onGranted } = this.#options
    const beganMs = clock.now()
    const { guest: ahead } = this.#find(lease)
    const guest = { ...ahead, owner, test }
    await this.#queues.postgres?.enter(guest)
    onGranted(clock.now() - beganMs)
    const held = this.#held.get(lease)
    if (held) {
      this.#held.set(lease, { ...held, guest })
    } else {
      this.#queues.postgres?.leave(guest)
    }
  }

  /** Gives up what a worker waits for that is gone. */
  forget(worker: number): void {
    this.#limited.forEach((queue) => queue.forget(worker))
  }

  /**
   * Has whoever asks wait for what comes in place of a server that was lost; rejects for them if nothing does. What was
   * leased before can be given back, and nothing else.
   */
  await(coming: Promise<LeaseSources>): void {
    this.#use.disturb()
    const present = coming.then((sources) => (this.#sources = sources))
    // The next request rejects with the reason.
    present.catch(() => {})
    this.#present = present
  }

  /**
   * Controls the server of a lease.
   *
   * @throws InfraError `INFRA_SERVICE_SHARED` where other files use it too
   */
  async control(lease: number, { service, action }: ServiceControl): Promise<void> {
    const { database, redis, sources } = this.#find(lease)
    const { stack, databases, redises } = sources
    this.#use.markUsed(lease, service)
    if (stack[service] === undefined) {
      throw serviceMissing(service)
    }
    if (stack.provider === 'external') {
      throw serviceExternal(service, action)
    }
    if (service === 'postgres' && database !== undefined && databases.control) {
      await databases.control(database, action)
    } else if (service === 'redis' && redis && redises.control) {
      await redises.control(redis, action)
    } else {
      const isLeased = (service === 'postgres' ? database : redis) !== undefined
      throw serviceShared(service, action, isLeased)
    }
  }

  /** Its file is over, and the next one of its worker has not begun. */
  async idle(lease: number): Promise<void> {
    const { redis, sources } = this.#find(lease)
    await (redis && sources.redises.idle?.(redis))
  }

  /** Makes what was leased new, for the file `owner`; the one before has been over for `idleMs`. */
  async reset(lease: number, { owner, idleMs }: { owner: string; idleMs: number }): Promise<void> {
    const { database, redis, sources, guest } = this.#find(lease)
    const { databases, redises } = sources
    const use = { file: this.#files.get(lease) ?? guest.owner, idleMs }
    await this.#use.hand(lease, {
      owner,
      reset: async () => {
        await Promise.all([
          database !== undefined && databases.reset(database, use),
          redis && redises.reset(redis, use),
        ])
      },
    })
    // Not before: a reset that fails does so for every file to come, because of the one that was the last to have it.
    this.#files.set(lease, owner)
  }

  /** Before its tests run, the code of a file has changed variables of its lease. */
  noteChanged(owner: string, variables: readonly ChangedVariable[]): void {
    this.#use.noteChanged(owner, variables)
  }

  async finish(lease: number, owner: string, processes: readonly number[] = []): Promise<void> {
    const { database, sources, guest } = this.#find(lease)
    this.#processes.set(guest, processes)
    const isWanted = database !== undefined && this.#toldOf < MOST_FILES_TOLD_OF
    const sessions = isWanted ? await this.#sessionsLeft(database, sources) : []
    if (sessions.length > 0) {
      this.#toldOf += 1
      this.#options.onConnectionsLeft(owner, sessions)
    }
  }

  /** Keeps the database of tests that failed, and says what the server's log has of them. */
  async failed(lease: number, { owner, retain, tests }: FailedRequest): Promise<readonly LogExcerpt[]> {
    const { database, sources } = this.#find(lease)
    const { databases, stack } = sources
    const { livesOn, onLog } = this.#options
    if (retain && livesOn && database !== undefined) {
      databases.retain?.({ database, owner })
    }
    const told = tests.slice(0, MOST_TESTS_TOLD_OF - this.#testsToldOf)
    this.#testsToldOf += told.length
    if (told.length === 0) {
      return []
    }
    // A log that cannot be read takes nothing from the test's own error.
    const logs = (await databases.logsOf?.(database ?? stack.postgres.database, told).catch(() => [])) ?? []
    told.forEach(({ name }, index) => {
      const log = logs[index]
      if (log && log.lines.length > 0) {
        onLog(`${owner} > ${name}`, log)
      }
    })
    return logs
  }

  /** The databases of tests that failed which can still be looked into. */
  retained(): readonly RetainedDatabase[] {
    return this.#sources.databases.retained?.() ?? []
  }

  /** Says that the tests are about to run again. */
  beginRerun(): void {
    this.#toldOf = 0
    this.#testsToldOf = 0
    this.#use.thaw()
    this.#sources.databases.dropRetained?.()
  }

  /** Says that the tests have run. */
  endRun(): Promise<void> {
    return this.#use.freeze()
  }

  /** What is known of the use of all leases, those too that are still held. */
  findUse(): Promise<UseFindings> {
    return this.#use.finish()
  }

  release(lease: number, info: ReleaseInfo): void {
    const held = this.#find(lease)
    this.#held.delete(lease)
    this.#files.delete(lease)
    const looking = this.#use.end(lease)
    if (looking) {
      // At once: otherwise a request that waits for this place would be refused as one that waits in vain.
      this.#leaveQueues(held)
      void looking.then(() => this.#releaseAll(held, info))
    } else {
      this.#release(held, info)
    }
  }

  #openQueue(service: LeasedService): LeaseQueue | undefined {
    const { limits, clock, onWaiting } = this.#options
    const limit = limits[service]
    return limit && new LeaseQueue({ service, limit, clock, onWaiting, queues: this.#limited })
  }

  /** Acquires again if the server was lost meanwhile. */
  async #acquirePresent(request: AcquireRequest, guest: Guest): Promise<Held> {
    const sources = await this.#present
    const acquiring = this.#acquire(request, guest, sources)
    const held = await acquiring.catch(() => undefined)
    if (sources === (await this.#present.catch(() => undefined))) {
      return acquiring
    }
    if (held) {
      this.#release(held, { isUserGone: true })
    }
    return this.#acquirePresent(request, guest)
  }

  async #acquire(request: AcquireRequest, guest: Guest, sources: LeaseSources): Promise<Held> {
    const { databases, redises } = sources
    const [database, redis] = await Promise.allSettled([
      this.#acquireFrom('postgres', databases, request, guest),
      this.#acquireFrom('redis', redises, request, guest),
    ])
    if (database.status === 'fulfilled' && redis.status === 'fulfilled') {
      return { guest, database: database.value, redis: redis.value, sources }
    }
    const taken = {
      guest,
      database: database.status === 'fulfilled' ? database.value : undefined,
      redis: redis.status === 'fulfilled' ? redis.value : undefined,
      sources,
    }
    // It was not reported to anyone yet.
    this.#release(taken, { isUserGone: true })
    throw database.status === 'rejected' ? database.reason : (redis as PromiseRejectedResult).reason
  }

  async #acquireFrom<T>(
    service: LeasedService,
    source: LeaseSource<T>,
    request: AcquireRequest,
    guest: Guest,
  ): Promise<T | undefined> {
    if (!request.wants.includes(service)) {
      return undefined
    }
    await (request.isAhead ? undefined : this.#queues[service]?.enter(guest))
    try {
      return await source.acquire(request, request.beside === undefined ? undefined : this.#find(request.beside))
    } catch (error) {
      this.#queues[service]?.leave(guest)
      throw error
    }
  }

  /** A session that its client has closed is still there for some milliseconds. */
  async #sessionsLeft(database: string, { databases }: LeaseSources): Promise<readonly string[]> {
    const { clock } = this.#options
    for (let before = 0, equal = 0; ;) {
      const sessions = await databases.sessionsOf(database)
      equal = sessions.length === before ? equal + 1 : 0
      if (sessions.length === 0 || equal === LOOKS_THAT_SETTLE) {
        return sessions
      }
      before = sessions.length
      await clock.sleep(SETTLE_MS)
    }
  }

  #release(held: Held, info: ReleaseInfo): void {
    this.#releaseAll(held, info)
    this.#leaveQueues(held)
  }

  #releaseAll({ guest, database, redis, sources }: Held, how: ReleaseInfo): void {
    const info = { ...how, owner: guest.owner, processes: this.#processes.get(guest) ?? [] }
    if (database !== undefined) {
      sources.databases.release(database, info)
    }
    if (redis) {
      sources.redises.release(redis, info)
    }
  }

  #leaveQueues({ guest, database, redis }: Held): void {
    if (database !== undefined) {
      this.#queues.postgres?.leave(guest)
    }
    if (redis) {
      this.#queues.redis?.leave(guest)
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
  #describe({ database, redis, sources }: Held): StackFacts {
    const { stack, databases } = sources
    const place =
      database === undefined ? undefined : { ...stack.postgres, database, ...databases.addressOf?.(database) }
    return {
      ...stack,
      ...(place && { postgres: { ...place, url: postgresUrl(place) } }),
      ...(redis && { redis: { ...stack.redis, ...redis, url: redisUrl(redis) } }),
    }
  }
}

/** Reads the use of what a lease consists of, as far as that is known. */
function looksAt({ database, redis, sources }: Held): LeasedFile['looks'] {
  const { databases, redises } = sources
  return {
    ...(database !== undefined && lookAt('postgres', databases, database)),
    ...(redis && lookAt('redis', redises, redis)),
  }
}

function lookAt<T>(service: LeasedService, source: LeaseSource<T>, item?: T): LeasedFile['looks'] {
  const look = source.useOf?.bind(source)
  return look ? { [service]: () => look(item) } : {}
}

/** For a lease that the worker does not hold. */
export function leaseUnknown(lease: number): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot find lease ${lease}: it was given back already`,
    remedy: 'Use a database only inside the test or file that it was leased for',
  })
}

/** Stands where the stack has no such service. */
export function noSource(service: string): LeaseSource<never> & DatabaseSource {
  return {
    acquire() {
      throw serviceMissing(service)
    },
    release() {},
    async reset() {},
    sessionsOf: async () => [],
  }
}
