import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { prefixOf } from '../services/database-names.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import { DatabaseDropper } from './database-dropper.ts'
import { DatabasePool } from './database-pool.ts'
import type { FailureLog } from './failure-log.ts'
import { RetainedDatabases } from './retained-databases.ts'
import type {
  AcquireRequest,
  DatabaseSource,
  LastUse,
  ReleaseInfo,
  PostgresPlace,
  RetainedDatabase,
} from '../leasing/lease-broker.ts'
import type { FailedTest, LogExcerpt } from '../leasing/lease-protocol.ts'
import type { Use } from '../leasing/lease-use.ts'
import type { TemplateSource } from './templates.ts'

/** Creates and drops the leased databases, which are schemas on some external servers. */
export type DatabaseAdmin = Pick<PostgresAdmin, 'createDatabase' | 'dropDatabase' | 'sessionsOf' | 'useOf'>

/** Makes a database equal to a new clone of a template while clients stay connected. */
export type DatabaseReset = (database: string, template: string, use: LastUse) => Promise<void>

export interface DatabasesOptions {
  readonly admin: DatabaseAdmin
  readonly templates: TemplateSource
  /** Identifies the run in the names of its databases. */
  readonly runId: string
  /** How many clones of a template to keep ready. */
  readonly target: number
  readonly clock: Clock
  readonly reset: DatabaseReset
  /** Reads the server's log for failed tests; without it, reports quote no log. */
  readonly log?: FailureLog
  /** The fields in which a lease's address differs from the main one; by default only the name. */
  readonly addressOf?: (name: string) => PostgresPlace
  /** Reads the server's usage counters; absent if other clients use the server too. */
  readonly countUse?: (database?: string) => Promise<Use>
}

/** The server notices a closed connection a few milliseconds later. */
const DISCONNECT_POLL_MS = 5
const DISCONNECT_POLLS = 10

/** Clones are created and dropped this long after a request, so that new connections are served first. */
const PAUSE_MS = 20

type DatabaseRequest = Pick<AcquireRequest, 'template' | 'reuse'>

interface Leased {
  readonly pool: DatabasePool
  readonly reuse: boolean
}

/**
 * Leases clones of templates, one for each lease. A released clone is dropped unless it is unused or kept for reuse.
 */
export class Databases implements DatabaseSource {
  /** Undefined if other clients use the server too. */
  readonly useOf?: (database?: string) => Promise<Use>
  readonly #options: DatabasesOptions
  readonly #pools = new Map<string, Promise<DatabasePool>>()
  readonly #leased = new Map<string, Leased>()
  readonly #dropper: DatabaseDropper
  readonly #returning = new BackgroundTasks()
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

  /** Clones from these templates from now on, and drops the unused clones of each template that has changed. */
  async useTemplates(templates: TemplateSource): Promise<void> {
    const before = this.#templates
    this.#templates = templates
    // All at once: requests open new pools while the old ones close.
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
    const used = reuse ? pool.acquireUsed() : undefined
    const name = used ?? (await pool.acquire())
    this.#leased.set(name, { pool, reuse })
    return name
  }

  release(database: string, info: ReleaseInfo = { isUserGone: false }): void {
    const leased = this.#leased.get(database)
    this.#leased.delete(database)
    const isUsedAgain = leased?.reuse && leased.pool.keepUsed(database)
    if (!isUsedAgain && !this.#retained.release(database)) {
      this.#returning.add(this.#reclaim(database, leased, info))
    }
  }

  async reset(database: string, use: LastUse): Promise<void> {
    const leased = this.#leased.get(database)
    if (leased) {
      await this.#options.reset(database, leased.pool.template, use)
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
    await this.#returning.settle()
    await this.#dropper.close()
  }

  async #reclaim(name: string, leased: Leased | undefined, { isUserGone }: ReleaseInfo): Promise<void> {
    await this.#pause()
    // A worker that lives on may still send queries.
    const isSure = isUserGone && leased?.reuse === false
    const isBack = isSure && (await this.#isUntouched(name)) && leased.pool.reclaim(name)
    if (!isBack) {
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

  /** A pool whose template could not be built has no databases; its requests report the failure. */
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
