import type { StackFacts } from '../environment/infra-facts.ts'
import { postgresUrl, redisUrl } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { FileReports, type FileReportsOptions } from './file-reports.ts'
import type { Lease, LeaseMethods } from './lease-client.ts'
import type { LeaseLimit } from './lease-limit.ts'
import { type Holder, LeaseQueue, type LeaseWait } from './lease-queue.ts'
import type {
  AcquireRequest,
  DatabaseSource,
  Leased,
  LeasedService,
  LeaseSource,
  LeaseSources,
  ReleaseInfo,
  RetainedDatabase,
} from './lease-source.ts'
import { type LeasedFile, LeaseUse, type UseFindings } from './lease-use.ts'
import { controlServer, serviceMissing } from './service-control.ts'

export interface LeaseBrokerOptions extends FileReportsOptions {
  readonly sources: LeaseSources
  /** The maximum number of concurrent leases, by service. A service that is missing here has no limit. */
  readonly limits: Partial<Record<LeasedService, LeaseLimit>>
  /** Returns a project's environment variables for a lease with these facts. */
  readonly environment: (project: string, facts: StackFacts) => Readonly<Record<string, string>>
  readonly clock: Clock
  /** Called when a request is granted, with the time that it waited, in milliseconds. */
  readonly onGranted: (waitedMs: number) => void
  /** Called when requests have waited for a long time. */
  readonly onWaiting: (wait: LeaseWait) => void
  /** Whether the stack outlives its run. Only then can databases be retained. */
  readonly staysUp: boolean
}

interface Held extends Leased {
  holder: Holder
  /** The file for which the items were last reset; undefined if they were not. */
  resetFor: string | undefined
  /** Ids of the file's child processes that were still running when the file ended. */
  processes: readonly number[]
}

/** The leases of one worker's connection, and the methods that the worker can call. */
export interface WorkerLeases {
  readonly leases: ReadonlyMap<number, Leased>
  readonly methods: LeaseMethods
}

/** Grants exclusive leases of databases and Redis servers to workers, within the limits of the servers. */
export class LeaseBroker {
  readonly #options: LeaseBrokerOptions
  readonly #allQueues: LeaseQueue[] = []
  readonly #queues: Readonly<Record<LeasedService, LeaseQueue | undefined>>
  readonly #use: LeaseUse
  readonly #reports: FileReports
  /** The current sources. After a server is lost, these are the old ones until they are replaced. */
  #sources: LeaseSources
  /** Resolves to the current sources. After a server is lost, waits for the sources that replace them. */
  #present: Promise<LeaseSources>
  #lastLease = 0

  constructor(options: LeaseBrokerOptions) {
    this.#options = options
    this.#sources = options.sources
    this.#present = Promise.resolve(options.sources)
    this.#queues = { postgres: this.#openQueue('postgres'), redis: this.#openQueue('redis') }
    this.#reports = new FileReports(options)
    const { databases, redises } = options.sources
    this.#use = new LeaseUse({ ...lookAt('postgres', databases), ...lookAt('redis', redises) }, options.clock)
  }

  /**
   * Connects a worker.
   *
   * @param closed aborts when the worker's connection has closed; the worker's leases and requests then end
   */
  connect(closed: AbortSignal): WorkerLeases {
    const leases = new Map<number, Held>()
    const find = (lease: number) => {
      const held = leases.get(lease)
      if (!held) {
        throw leaseUnknown(lease)
      }
      return held
    }
    closed.addEventListener('abort', () => {
      leases.forEach((held, lease) => this.#end(lease, held, { isUserGone: true }))
      leases.clear()
    })
    const methods: LeaseMethods = {
      acquire: async (request) => {
        const { onServerOf } = request
        const held = await this.#grant(request, closed, () => (onServerOf === undefined ? undefined : find(onServerOf)))
        const lease = this.#add(request, held)
        if (closed.aborted) {
          this.#end(lease.lease, held, { isUserGone: true })
        } else {
          leases.set(lease.lease, held)
        }
        return lease
      },
      begin: async (lease, owner, test) => {
        const held = find(lease)
        const holder = { ...held.holder, owner, test }
        await this.#measured(async () => this.#queues.postgres?.enter(holder))
        if (leases.has(lease)) {
          held.holder = holder
        } else {
          this.#queues.postgres?.leave(holder)
        }
      },
      control: async (lease, service, action) => {
        const held = find(lease)
        this.#use.markUsed(lease, service)
        await controlServer(held, service, action)
      },
      idle: async (lease) => {
        const { redis, sources } = find(lease)
        await (redis && sources.redises.idle?.(redis))
      },
      reset: async (lease, owner, idleMs = 0) => {
        const held = find(lease)
        await this.#use.hand(lease, { owner, reset: () => resetItems(held, idleMs) })
        // Set only after a successful reset. After a failed one, later resets fail too, and the file to blame remains
        // the one that used the items last.
        held.resetFor = owner
      },
      changed: async (lease, owner, variables) => {
        find(lease)
        this.#use.noteChanged(owner, variables)
      },
      finish: async (lease, owner, processes = []) => {
        const held = find(lease)
        held.processes = processes
        await this.#reports.reportConnections(owner, held)
      },
      failed: async (lease, { owner, retain, tests }) => {
        const held = find(lease)
        if (retain && this.#options.staysUp && held.database !== undefined) {
          held.sources.databases.retain?.({ database: held.database, owner })
        }
        return this.#reports.reportLogs(owner, held, tests)
      },
      release: async (lease) => {
        const held = find(lease)
        leases.delete(lease)
        this.#end(lease, held, { isUserGone: false })
      },
    }
    return { leases, methods }
  }

  /** Starts to count the use of services. Call it before the user's code connects. */
  async watchUse(): Promise<void> {
    await this.#use.open()
  }

  /**
   * Makes requests wait for the sources that replace a lost server, and fail if `replacement` rejects. Leases from
   * before the loss can only be released.
   */
  await(replacement: Promise<LeaseSources>): void {
    this.#use.disturb()
    const present = replacement.then((sources) => (this.#sources = sources))
    // The next request reports the rejection.
    present.catch(() => {})
    this.#present = present
  }

  retained(): readonly RetainedDatabase[] {
    return this.#sources.databases.retained?.() ?? []
  }

  /** Prepares another run in watch mode. Call it before the tests run again. */
  beginRerun(): void {
    this.#reports.beginRun()
    this.#use.thaw()
    this.#sources.databases.dropRetained?.()
  }

  /** Stops counting the use of services. Call it when the tests have run. */
  endRun(): Promise<void> {
    return this.#use.freeze()
  }

  /** Resolves to the findings about the use of all leases, including those that have not ended. */
  findUse(): Promise<UseFindings> {
    return this.#use.finish()
  }

  #openQueue(service: LeasedService): LeaseQueue | undefined {
    const { limits, clock, onWaiting } = this.#options
    const limit = limits[service]
    return limit && new LeaseQueue({ service, limit, clock, onWaiting, queues: this.#allQueues })
  }

  async #grant(request: AcquireRequest, worker: AbortSignal, findFile: () => Leased | undefined): Promise<Held> {
    // Fails early if the file's lease does not exist. The same check runs again after the wait.
    findFile()
    const { owner, span, test, isAhead } = request
    const acquire = async () => {
      const [held] = await Promise.all([
        this.#acquirePresent(request, { worker, owner, span, test }, findFile),
        this.#use.begin(),
      ])
      return held
    }
    return isAhead ? acquire() : this.#measured(acquire)
  }

  #add(request: AcquireRequest, held: Held): Lease {
    const { owner, span, project, wants, template, reuse, onServerOf } = request
    const lease = (this.#lastLease += 1)
    if (span === 'file') {
      this.#use.add(lease, { project, owner, looks: looksAt(held), isSharing: wants.length === 0, reuse })
    } else if (onServerOf !== undefined) {
      wants.forEach((service) => this.#use.markUsed(onServerOf, service))
    }
    const facts = describe(held)
    return { lease, template, facts, env: this.#options.environment(project, facts) }
  }

  async #measured<T>(wait: () => Promise<T>): Promise<T> {
    const { clock, onGranted } = this.#options
    const beganMs = clock.now()
    const result = await wait()
    onGranted(clock.now() - beganMs)
    return result
  }

  /**
   * Acquires items from the current sources. If a server is lost meanwhile, acquires them again from its replacement.
   */
  async #acquirePresent(request: AcquireRequest, holder: Holder, findFile: () => Leased | undefined): Promise<Held> {
    const sources = await this.#present
    const acquiring = this.#acquire(request, holder, { sources, findFile })
    const held = await acquiring.catch(() => undefined)
    if (sources === (await this.#present.catch(() => undefined))) {
      return acquiring
    }
    if (held) {
      this.#release(held, { isUserGone: true })
    }
    return this.#acquirePresent(request, holder, findFile)
  }

  async #acquire(
    request: AcquireRequest,
    holder: Holder,
    { sources, findFile }: { readonly sources: LeaseSources; readonly findFile: () => Leased | undefined },
  ): Promise<Held> {
    const acquireFrom = async <T>(service: LeasedService, source: LeaseSource<T>): Promise<T | undefined> => {
      if (!request.wants.includes(service)) {
        return undefined
      }
      await (request.isAhead ? undefined : this.#queues[service]?.enter(holder))
      try {
        return await source.acquire(request, findFile())
      } catch (error) {
        this.#queues[service]?.leave(holder)
        throw error
      }
    }
    const [database, redis] = await Promise.allSettled([
      acquireFrom('postgres', sources.databases),
      acquireFrom('redis', sources.redises),
    ])
    const held: Held = {
      holder,
      database: database.status === 'fulfilled' ? database.value : undefined,
      redis: redis.status === 'fulfilled' ? redis.value : undefined,
      sources,
      resetFor: undefined,
      processes: [],
    }
    const failed = [database, redis].find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') {
      this.#release(held, { isUserGone: true })
      throw failed.reason
    }
    return held
  }

  #end(lease: number, held: Held, info: ReleaseInfo): void {
    const looking = this.#use.end(lease)
    if (looking) {
      // Leave the queues before the counters are read. Otherwise a queue could refuse a request that waits for this
      // lease.
      this.#leaveQueues(held)
      void looking.then(() => releaseItems(held, info))
    } else {
      this.#release(held, info)
    }
  }

  #release(held: Held, info: ReleaseInfo): void {
    releaseItems(held, info)
    this.#leaveQueues(held)
  }

  #leaveQueues({ holder, database, redis }: Held): void {
    if (database !== undefined) {
      this.#queues.postgres?.leave(holder)
    }
    if (redis) {
      this.#queues.redis?.leave(holder)
    }
  }
}

function releaseItems({ holder, database, redis, sources, processes }: Held, how: ReleaseInfo): void {
  const info = { ...how, owner: holder.owner, processes }
  if (database !== undefined) {
    sources.databases.release(database, info)
  }
  if (redis) {
    sources.redises.release(redis, info)
  }
}

async function resetItems({ database, redis, sources, holder, resetFor }: Held, idleMs: number): Promise<void> {
  const use = { file: resetFor ?? holder.owner, idleMs }
  await Promise.all([
    database !== undefined && sources.databases.reset(database, use),
    redis && sources.redises.reset(redis, use),
  ])
}

/** Returns the facts of the stack, with the addresses of a lease in place of the main ones. */
function describe({ database, redis, sources }: Leased): StackFacts {
  const { stack, databases } = sources
  const address =
    database === undefined ? undefined : { ...stack.postgres, database, ...databases.addressOf?.(database) }
  return {
    ...stack,
    ...(address && { postgres: { ...address, url: postgresUrl(address) } }),
    ...(redis && { redis: { ...stack.redis, ...redis, url: redisUrl(redis) } }),
  }
}

function looksAt({ database, redis, sources }: Leased): LeasedFile['looks'] {
  const { databases, redises } = sources
  return {
    ...(database !== undefined && lookAt('postgres', databases, database)),
    ...(redis && lookAt('redis', redises, redis)),
  }
}

/** Returns the function that reads the use of an item, by service; empty if the source does not count it. */
function lookAt<T>(service: LeasedService, source: LeaseSource<T>, item?: T): LeasedFile['looks'] {
  const look = source.useOf?.bind(source)
  return look ? { [service]: () => look(item) } : {}
}

function leaseUnknown(lease: number): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot find lease ${lease}: it was given back already`,
    remedy: 'Use a database only inside the test or file that it was leased for',
  })
}

/** Returns a source for a service that is not part of the stack; it throws when a lease is requested. */
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
