import { InfraError } from '../errors.ts'
import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { prefixOf } from '../internal/names.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { FailureLog } from './failure-log.ts'
import { RetainedDatabases } from './retained-databases.ts'
import type {
  AcquireRequest,
  DatabaseSource,
  FailedTest,
  LastUse,
  LogExcerpt,
  PostgresPlace,
  ReleaseInfo,
  RetainedDatabase,
  Use,
} from '../leasing/lease-source.ts'
import { ReusedItems } from '../leasing/reused-items.ts'
import type { TemplateSource } from './templates.ts'

/** Creates and drops the leased databases. On some external servers, each of them is a schema. */
export type DatabaseAdmin = Pick<PostgresAdmin, 'createDatabase' | 'dropDatabase' | 'sessionsOf' | 'useOf'>

/** Makes a database equal to a new clone of a template while clients stay connected. */
export type DatabaseReset = (database: string, template: string, use: LastUse) => Promise<void>

export interface DatabasesOptions {
  readonly admin: DatabaseAdmin
  readonly templates: TemplateSource
  /** Id of the run, which is part of the names of its databases. */
  readonly runId: string
  /** Number of clones of each template to keep ready. */
  readonly target: number
  readonly clock: Clock
  readonly reset: DatabaseReset
  /** Reads the server's log for failed tests. If undefined, reports quote no log. */
  readonly log?: FailureLog
  /** Returns the fields in which a lease's address differs from the main one. By default, only the name differs. */
  readonly addressOf?: (name: string) => PostgresPlace
  /** Reads the server's usage counters; undefined if other clients use the server too. */
  readonly countUse?: (database?: string) => Promise<Use>
}

/** The server registers a closed connection only after a few milliseconds. */
const DISCONNECT_POLL_MS = 5
const DISCONNECT_POLLS = 10

/** Delay between a request and the creation or drop of clones, so that the server accepts new connections first. */
const PAUSE_MS = 20

type DatabaseRequest = Pick<AcquireRequest, 'template' | 'reuse'>

/**
 * Leases clones of templates, one for each lease. A released clone is dropped, unless it is unused or was leased for
 * reuse.
 */
export class Databases implements DatabaseSource {
  /** Reads the server's usage counters; undefined if other clients use the server too. */
  readonly useOf?: (database?: string) => Promise<Use>
  readonly #options: DatabasesOptions
  readonly #pools = new Map<string, Promise<DatabasePool>>()
  readonly #leased = new Map<string, DatabasePool>()
  readonly #dropper: DatabaseDropper
  readonly #releasing = new BackgroundTasks()
  readonly #pause = () => this.#options.clock.sleep(PAUSE_MS)
  readonly #retained = new RetainedDatabases((database) => this.#dropper.drop(database))
  #templates: TemplateSource
  #poolCount = 0

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#templates = options.templates
    if (options.countUse) {
      this.useOf = options.countUse
    }
    this.#dropper = new DatabaseDropper(options)
  }

  /** Switches to these templates, and drops the unused clones of each template that has changed. */
  async useTemplates(templates: TemplateSource): Promise<void> {
    const before = this.#templates
    this.#templates = templates
    // Outdated pools are removed all at once, because requests open new pools while the old ones close.
    const outdated = [...this.#pools].filter(([name]) => before.databaseOf(name) !== templates.databaseOf(name))
    outdated.forEach(([name]) => this.#pools.delete(name))
    await Promise.all(outdated.map(([, pool]) => this.#closePool(pool)))
  }

  /** Creates clones of a template ahead of time. */
  async warm(template: string): Promise<void> {
    const pool = await this.#poolOf(template)
    await pool.fill()
  }

  async acquire({ template, reuse }: DatabaseRequest): Promise<string> {
    const pool = await this.#poolOf(template)
    const name = await pool.acquire(reuse)
    this.#leased.set(name, pool)
    return name
  }

  release(database: string, info: ReleaseInfo = { isUserGone: false }): void {
    const pool = this.#leased.get(database)
    this.#leased.delete(database)
    if (!pool?.reuse(database) && !this.#retained.release(database)) {
      this.#releasing.add(this.#reclaim(database, pool, info))
    }
  }

  async reset(database: string, use: LastUse): Promise<void> {
    const pool = this.#leased.get(database)
    if (pool) {
      await this.#options.reset(database, pool.template, use)
    }
  }

  addressOf(database: string): PostgresPlace | undefined {
    return this.#options.addressOf?.(database)
  }

  sessionsOf(database: string): Promise<readonly string[]> {
    return this.#options.admin.sessionsOf(database)
  }

  async logsOf(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]> {
    return (await this.#options.log?.of(database, tests)) ?? []
  }

  retain(retained: RetainedDatabase): void {
    this.#retained.retain(retained)
  }

  retained(): readonly RetainedDatabase[] {
    return this.#retained.list()
  }

  dropRetained(): void {
    this.#retained.clear()
  }

  /** Drops every database of the run except the retained ones. Call it only if the server outlives the run. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => this.#closePool(pool)))
    this.#leased.forEach((_, database) => this.#dropper.drop(database))
    await this.#releasing.settle()
    await this.#dropper.close()
  }

  async #reclaim(name: string, pool: DatabasePool | undefined, { isUserGone }: ReleaseInfo): Promise<void> {
    await this.#pause()
    // A worker that has not exited may still send queries to this database.
    const isReclaimed = isUserGone && pool && (await this.#isUntouched(name)) && pool.reclaim(name)
    if (!isReclaimed) {
      this.#dropper.drop(name)
    }
  }

  async #isUntouched(name: string): Promise<boolean> {
    const { admin, clock } = this.#options
    for (let count = 0; count < DISCONNECT_POLLS; count += 1) {
      const use = await admin.useOf(name).catch(() => 'used')
      if (use !== 'busy') {
        return use === 'none'
      }
      await clock.sleep(DISCONNECT_POLL_MS)
    }
    return false
  }

  #poolOf(template: string): Promise<DatabasePool> {
    const known = this.#pools.get(template)
    if (known) {
      return known
    }
    const pool = this.#openPool(template).catch((error: unknown) => {
      if (this.#pools.get(template) === pool) {
        this.#pools.delete(template)
      }
      throw error
    })
    this.#pools.set(template, pool)
    return pool
  }

  /**
   * Closes a pool and drops its unused databases. A pool whose template could not be built has none; its requests
   * report that failure.
   */
  async #closePool(opening: Promise<DatabasePool>): Promise<void> {
    const pool = await opening.catch(() => undefined)
    const unused = (await pool?.close()) ?? []
    unused.forEach((database) => this.#dropper.drop(database))
  }

  async #openPool(template: string): Promise<DatabasePool> {
    const { admin, runId, target } = this.#options
    this.#poolCount += 1
    const prefix = `${prefixOf(runId)}${this.#poolCount}_`
    const source = await this.#templates.ensure(template)
    return new DatabasePool({ admin, template: source, prefix, target, pause: this.#pause })
  }
}

/** Maximum number of ready clones. Each takes memory, and few machines run more workers at once. */
const MAX_TARGET = 16

export interface DatabasePoolOptions {
  readonly admin: Pick<PostgresAdmin, 'createDatabase'>
  /** Name of the sealed template that is cloned. */
  readonly template: string
  /** Prefix of the clones' names. No other run on the server may use the same prefix. */
  readonly prefix: string
  /** Number of clones to keep ready. */
  readonly target: number
  /** Awaited before a clone is created ahead of time. */
  readonly pause: () => Promise<void>
}

/** Manages the clones of one template. Some are created ahead of time. */
export class DatabasePool {
  readonly #options: DatabasePoolOptions
  readonly #ready: string[] = []
  readonly #reused = new ReusedItems<string>()
  readonly #waiting: PromiseWithResolvers<string>[] = []
  #target: number
  #created = 0
  #filling: Promise<void> | undefined
  #closed = false

  constructor(options: DatabasePoolOptions) {
    this.#options = options
    this.#target = options.target
  }

  /** Name of the template that is cloned. */
  get template(): string {
    return this.#options.template
  }

  /**
   * Returns the name of a clone.
   *
   * @param reuse whether to accept a used clone, and to reuse the acquired clone after its release
   */
  acquire(reuse = false): Promise<string> {
    return this.#reused.acquire(reuse, () => this.#acquireNew())
  }

  /**
   * Releases a clone that was acquired for reuse. Returns false if it was not acquired for reuse, or if the pool is
   * closed.
   */
  reuse(clone: string): boolean {
    return this.#reused.release(clone)
  }

  /** Adds an unchanged clone to the ready ones; returns false if the pool does not need it. */
  reclaim(clone: string): boolean {
    const isWanted = !this.#closed && this.#ready.length < MAX_TARGET
    if (isWanted) {
      this.#hand(clone)
    }
    return isWanted
  }

  /** Creates clones until the target is reached. */
  fill(): Promise<void> {
    if (this.#isShort()) {
      this.#filling ??= this.#createClones()
    }
    return this.#filling ?? Promise.resolve()
  }

  /** Stops creating clones and rejects pending requests; resolves to the clones that are not leased. */
  async close(): Promise<readonly string[]> {
    this.#closed = true
    await this.#filling
    this.#waiting.splice(0).forEach(({ reject }) => reject(poolClosed()))
    return [...this.#ready.splice(0), ...this.#reused.clear()]
  }

  /** Resolves at once to a ready clone if there is one, otherwise to the next clone that is created. */
  #acquireNew(): Promise<string> {
    const taken = Promise.withResolvers<string>()
    const ready = this.#ready.shift()
    if (this.#closed) {
      taken.reject(poolClosed())
    } else if (ready === undefined) {
      // This request has to wait, so the pool keeps one more clone ready from now on.
      this.#target = Math.min(this.#target + 1, MAX_TARGET)
      this.#waiting.push(taken)
      void this.fill()
    } else {
      taken.resolve(ready)
      void this.#options.pause().then(() => this.fill())
    }
    return taken.promise
  }

  #isShort(): boolean {
    return !this.#closed && (this.#waiting.length > 0 || this.#ready.length < this.#target)
  }

  async #createClones(): Promise<void> {
    try {
      do {
        this.#hand(await this.#createClone())
      } while (this.#isShort())
    } catch (error) {
      // Pending requests fail with this error. The next request tries again.
      this.#waiting.splice(0).forEach(({ reject }) => reject(error))
    } finally {
      // There must be no await between the last check and this line: a request in between would never be served.
      this.#filling = undefined
    }
  }

  async #createClone(): Promise<string> {
    const { admin, template, prefix } = this.#options
    this.#created += 1
    const name = `${prefix}${this.#created}`
    await admin.createDatabase(name, template)
    return name
  }

  #hand(clone: string): void {
    const next = this.#waiting.shift()
    if (next) {
      next.resolve(clone)
    } else {
      this.#ready.push(clone)
    }
  }
}

function poolClosed(): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: 'Cannot lease a database: its template is being rebuilt, or the run is ending',
    remedy: 'Run the tests again',
    service: 'postgres',
  })
}

/**
 * Interval between attempts to drop a database with open connections. A worker that exits closes its connections within
 * milliseconds, but a running worker may keep them open.
 */
const RETRY_MS = 500

interface DropperOptions {
  readonly admin: Pick<PostgresAdmin, 'dropDatabase'>
  readonly clock: Clock
}

/**
 * Drops released databases in the background, one after the other. A database with open connections is dropped later. A
 * forced drop would terminate idle clients of a worker that outlives its file, which causes an uncaught error 57P01
 * there.
 */
export class DatabaseDropper {
  readonly #options: DropperOptions
  readonly #queue: string[] = []
  readonly #inUse = new Set<string>()
  readonly #closing = new AbortController()
  #dropping: Promise<void> | undefined
  #isRetryDue = false

  constructor(options: DropperOptions) {
    this.#options = options
  }

  drop(name: string): void {
    this.#queue.push(name)
    this.#dropping ??= this.#dropQueue()
  }

  /**
   * Drops all remaining databases by force. Call it only after the workers have exited, as it terminates open sessions.
   */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#dropping
    const names = [...this.#queue.splice(0), ...this.#inUse]
    this.#inUse.clear()
    const outcomes = await Promise.allSettled(
      names.map((name) => this.#options.admin.dropDatabase(name, { force: true })),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason
      }
    }
  }

  async #dropQueue(): Promise<void> {
    for (let name = this.#queue.shift(); name !== undefined; name = this.#queue.shift()) {
      await this.#dropUnlessUsed(name)
    }
    this.#dropping = undefined
  }

  async #dropUnlessUsed(name: string): Promise<void> {
    try {
      if (!(await this.#options.admin.dropDatabase(name, { force: false }))) {
        this.#inUse.add(name)
        void this.#retry()
      }
    } catch {
      // The server, and thus its databases, may be gone already. close() reports any other failure.
      this.#inUse.add(name)
    }
  }

  async #retry(): Promise<void> {
    if (this.#isRetryDue) {
      return
    }
    this.#isRetryDue = true
    await this.#options.clock.sleep(RETRY_MS, this.#closing.signal).catch(() => {})
    this.#isRetryDue = false
    if (!this.#closing.signal.aborted) {
      const names = [...this.#inUse]
      this.#inUse.clear()
      names.forEach((name) => this.drop(name))
    }
  }
}
